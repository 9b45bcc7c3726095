"""Infotext is found wherever tools put it, in every encoding that they use, and in every form that sites make of it."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bootstrap.drawing import infotext, user_comment
from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import of_picture
from tests.drawing.metadata.pictures import FIELDS, INFO, exif, hidden, packed_text, png, with_exif

FOREIGN = INFO.replace("a red apple", "ein roter Äpfel, りんご, 🍎")
ENCODED = {
    "UNICODE, big-endian": b"UNICODE\0" + FOREIGN.encode("utf-16-be"),
    "UNICODE, little-endian": b"UNICODE\0" + FOREIGN.encode("utf-16-le"),
    "UNICODE, big-endian, with a mark": b"UNICODE\0\xfe\xff" + FOREIGN.encode("utf-16-be"),
    "UNICODE, little-endian, with a mark": b"UNICODE\0\xff\xfe" + FOREIGN.encode("utf-16-le"),
    "UNICODE, UTF-8": b"UNICODE\0" + FOREIGN.encode(),
    "UNICODE, with a zero at the end": b"UNICODE\0" + FOREIGN.encode("utf-16-le") + b"\0\0",
    "ASCII, UTF-8": b"ASCII\0\0\0" + FOREIGN.encode(),
    "ASCII, with zeros at the end": b"ASCII\0\0\0" + FOREIGN.encode() + bytes(5),
    "undefined": bytes(8) + FOREIGN.encode(),
    "no encoding": FOREIGN.encode(),
    "no encoding, UTF-8 with a mark": b"\xef\xbb\xbf" + FOREIGN.encode(),
    "no encoding, UTF-16 with a mark": b"\xff\xfe" + FOREIGN.encode("utf-16-le"),
    "no encoding, UTF-16": FOREIGN.encode("utf-16-be"),
}


def parameters(path: Path) -> Infotext:
    found = of_picture.read(path)
    assert found.parameters is not None, found
    return found.parameters


@pytest.mark.parametrize("ending", ["jpg", "webp", "png", "avif"])
@pytest.mark.parametrize("payload", ENCODED.values(), ids=ENCODED)
def test_a_user_comment_is_read_in_each_encoding(tmp_path: Path, ending: str, payload: bytes) -> None:
    for order in "<>":
        path = with_exif(tmp_path / f"a.{ending}", exif(payload, order))
        assert parameters(path) == infotext.read(FOREIGN)


@pytest.mark.parametrize("kind", [1, 2, 7])
@pytest.mark.parametrize("in_first", [False, True])
def test_a_user_comment_is_read_in_each_type_and_directory(tmp_path: Path, kind: int, in_first: bool) -> None:
    for label, payload in ENCODED.items():
        path = with_exif(tmp_path / "a.jpg", exif(payload, kind=kind, in_first=in_first))
        assert parameters(path) == infotext.read(FOREIGN), label


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=40).map(lambda text: text + INFO)
)
@settings(deadline=None)
def test_the_byte_order_of_infotext_is_found_whatever_the_prompt_is(text: str) -> None:
    for codec in ("utf-16-le", "utf-16-be", "utf-8"):
        assert user_comment.decoded(b"UNICODE\0" + text.encode(codec)) == text


@given(st.binary(max_size=60))
def test_any_bytes_of_a_comment_are_decoded(content: bytes) -> None:
    for head in (b"", b"UNICODE\0", b"ASCII\0\0\0", b"JIS\0\0\0\0\0"):
        assert isinstance(user_comment.decoded(head + content), str)


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_each_text_chunk_of_a_png_is_read(tmp_path: Path, kind: bytes) -> None:
    text = INFO.replace("apple", "pear") if kind == b"zTXt" else FOREIGN
    assert parameters(packed_text(tmp_path / "a.png", kind, b"parameters", text)) == infotext.read(text)


def test_other_places_of_exif_and_comments_are_read(tmp_path: Path) -> None:
    as_windows = exif(INFO.encode("utf-16-le") + b"\0\0", tag=0x9C9C, kind=1, in_first=True)
    described = exif(INFO.encode() + b"\0", tag=0x010E, kind=2, in_first=True)
    for block in (as_windows, described):
        assert parameters(with_exif(tmp_path / "a.jpg", block)) == infotext.read(INFO)
    Image.new("RGB", (64, 64)).save(tmp_path / "a.gif", comment=INFO.encode())
    assert parameters(tmp_path / "a.gif") == infotext.read(INFO)


def test_a_malformed_tag_does_not_hide_the_comment(tmp_path: Path) -> None:
    payload = b"UNICODE\0" + INFO.encode("utf-16-be")
    for malformed in ((0x0128, 2, 4, 0x00636261), (0x010E, 7, 10**9, 8), (0x8825, 4, 1, 99_999)):
        first = struct.pack("<HHHIIHHII", 2, *malformed, 0x8769, 4, 1, 38) + bytes(4)
        inner = struct.pack("<HHHII", 1, 0x9286, 7, len(payload), 56) + bytes(4)
        block = b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + inner + payload
        for ending in ("jpg", "png", "webp"):
            assert parameters(with_exif(tmp_path / f"a.{ending}", block)) == infotext.read(INFO)


@pytest.mark.parametrize(("signature", "channels"), [(b"png", 1), (b"rgb", 3)])
@pytest.mark.parametrize("packed", [b"info", b"comp"])
@pytest.mark.parametrize("ending", ["png", "webp"])
def test_infotext_hidden_in_the_pixels_is_read(
    tmp_path: Path, signature: bytes, channels: int, packed: bytes, ending: str
) -> None:
    path = hidden(tmp_path / f"a.{ending}", FOREIGN, b"stealth_" + signature + packed, channels)
    assert parameters(path) == infotext.read(FOREIGN)


EXPECTED = {"Steps": "6", "Sampler": "DDIM", "CFG scale": "3", "Seed": "42", "Size": "128x128", "Model": "papertown",
            "RNG": "CPU", "Version": "v1.10.1"}  # fmt: skip
BROKEN_UP = {
    "a space for each line break": INFO.replace("\n", " "),
    "a stop for each line break": INFO.replace("\n", "."),
    "a comma for each line break": INFO.replace("\n", ", "),
    "nothing for each line break": INFO.replace("\n", ""),
    "the fields behind the negative prompt": INFO.replace("\nSteps", " Steps"),
    "carriage returns": INFO.replace("\n", "\r\n"),
    "blank lines": INFO.replace("\n", "\n\n"),
    "a line for each field": INFO.replace(FIELDS, FIELDS.replace(", ", "\n")),
    "two lines of fields": INFO.replace(", Seed", ",\nSeed"),
    "a plug-in's template": INFO + "\nTemplate: a {red|green, big} apple: x\nNegative Template: lowres",
}


@pytest.mark.parametrize("text", BROKEN_UP.values(), ids=BROKEN_UP)
def test_prompts_and_fields_are_told_apart_however_the_lines_are(text: str) -> None:
    read = infotext.read(text)
    prompts = read.prompt.rstrip(", "), read.negative_prompt.rstrip(", ")
    assert prompts == ("a red apple, masterpiece", "lowres, bad hands")
    assert {key: value for key, value in read.fields.items() if "emplate" not in key} == EXPECTED
    if "Template:" in text:
        assert read.fields["Template"] == "a {red|green, big} apple: x"


def test_a_text_of_one_line_without_a_negative_prompt_is_told_apart() -> None:
    read = infotext.read(f"a red apple {FIELDS}")
    assert (read.prompt, read.negative_prompt, read.fields) == ("a red apple", "", EXPECTED)


def test_what_is_written_into_the_prompt_stays_there() -> None:
    for prompt in (
        "how to write a Negative prompt: lowres",
        "Steps: 20, Sampler: none, Seed: 4",
        "a\nSteps: 3",
    ):
        read = infotext.read(f"{prompt}\nNegative prompt: bad\n{FIELDS}")
        assert (read.prompt, read.negative_prompt, read.fields) == (prompt, "bad", EXPECTED)


def test_a_prompt_may_begin_with_brackets(tmp_path: Path) -> None:
    for prompt in ("{red|green} apple", "[apple:pear:0.5]"):
        read = parameters(png(tmp_path / "a.png", parameters=f"{prompt}\n{FIELDS}"))
        assert (read.prompt, read.fields) == (prompt, EXPECTED)


def test_a_long_prompt_is_read_whole(tmp_path: Path) -> None:
    prompt = ", ".join(f"tag {number}" for number in range(4500))
    assert len(prompt) > 40_000
    for ending in ("png", "webp"):
        block = exif(b"UNICODE\0" + f"{prompt}\n{FIELDS}".encode("utf-16-be"))
        read = parameters(with_exif(tmp_path / f"a.{ending}", block))
        assert (read.prompt, read.fields) == (prompt, EXPECTED)
    assert parameters(png(tmp_path / "b.png", parameters=f"{prompt}\n{FIELDS}")).prompt == prompt


def test_values_with_commas_colons_and_json_are_read_whole() -> None:
    quoted = 'Lora hashes: "a: 0123456789ab, b c: 123456789abc", TI hashes: "neg: 1234", Note: "say \\"hi\\", x: 1"'
    civitai = 'Civitai resources: [{"type":"lora","weight":0.8,"modelName":"x, ]y"},{"a":[1,2]}], Civitai metadata: {}'
    fields = infotext.read(f"apple\n{FIELDS}, {quoted}, {civitai}").fields
    assert fields == EXPECTED | {
        "Lora hashes": "a: 0123456789ab, b c: 123456789abc",
        "TI hashes": "neg: 1234",
        "Note": 'say "hi", x: 1',
        "Civitai resources": '[{"type":"lora","weight":0.8,"modelName":"x, ]y"},{"a":[1,2]}]',
        "Civitai metadata": "{}",
    }


def test_brackets_without_an_end_take_no_time() -> None:
    assert (
        len(infotext.read("apple\nSteps: 1, " + ", ".join(f"Key {n}: [{{" for n in range(20_000))).fields)
        == 20_001
    )
