"""Infotext: AUTOMATIC1111 can read ours, we read theirs, and a PNG carries its shot."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bootstrap.drawing import infotext
from bootstrap.errors import UserError
from bootstrap.project.settings import SAMPLERS
from bootstrap.shots import LoraUse, Mask, Shot, Start

HASHES = {"demo-g01-000004": "0123456789abcdef" * 4, "other": "f" * 64}

# As stable-diffusion-webui 1.3.2 writes it (quoted in a public thread of the diffusers project).
OF_A1111 = """\
shuimobysim, <lora:shuimobysimV3:0.8>, a girl,
best quality
Negative prompt: (worst quality:2), easynegative
Steps: 30, Sampler: Euler a, CFG scale: 7, Seed: 1432216924, Size: 512x512, Model hash: e4a30e4607, \
Model: majicmixRealistic_v6, Lora hashes: "shuimobysimV3: 17cd20c7b6ea", Version: v1.3.2"""

line = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=60)


def shot(prompt: str = "woman, red apple", negative_prompt: str = "", **changes: object) -> Shot:
    values: dict = {
        "prompt": prompt, "negative_prompt": negative_prompt, "seed": 5, "steps": 16, "sampler": "DPM++ 2M Karras",
        "cfg_scale": 6.5, "width": 128, "height": 192, "base_model": "papertown", "base_model_hash": "ab" * 32,
        "loras": (LoraUse("demo-g01-000004", "t" * 64, 4, 0.8), LoraUse("other", "u" * 64, 1, 1.0)),
        "recipe": "vary", "eliminated": ("ball",), "added": (),
    }  # fmt: skip
    return Shot(**{**values, **changes})


def test_an_infotext_of_a1111_is_read() -> None:
    read = infotext.read(OF_A1111)
    assert read.prompt == "shuimobysim, <lora:shuimobysimV3:0.8>, a girl,\nbest quality"
    assert read.negative_prompt == "(worst quality:2), easynegative"
    assert read.fields["Lora hashes"] == "shuimobysimV3: 17cd20c7b6ea"
    assert (read.fields["Steps"], read.fields["Seed"], read.fields["Size"]) == ("30", "1432216924", "512x512")


def test_ours_is_golden() -> None:
    assert infotext.write(shot(negative_prompt="blurry"), "papertown", HASHES) == (
        "woman, red apple <lora:demo-g01-000004:0.8> <lora:other:1>\n"
        "Negative prompt: blurry\n"
        "Steps: 16, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 5, Size: 128x192, Model hash: ababababab, "
        'Model: papertown, RNG: CPU, Lora hashes: "demo-g01-000004: 0123456789ab, other: ffffffffffff", Version: sid'
    )


def as_preserved(text: str) -> str:
    """Return what A1111's format preserves of a prompt: it drops white space around lines."""
    return "\n".join(line.strip() for line in text.strip().split("\n"))


prompts = (
    st.lists(line | st.sampled_from(["a: b", '"c", d', "Steps: 1", "x\\", "{a|b}", "é “ü” 🍎"]), max_size=4)
    .map("\n".join)
    .filter(lambda text: not any(line.strip().startswith("Negative prompt:") for line in text.split("\n")))
)


@given(prompts, prompts, st.integers(0, 2**32 - 1), line.filter(str.strip), st.sampled_from(SAMPLERS))
@settings(deadline=None)
def test_what_is_written_is_read_back(
    prompt: str, negative: str, seed: int, model: str, sampler: str
) -> None:
    written = infotext.write(shot(prompt, negative, seed=seed, sampler=sampler, clip_skip=2), model, HASHES)
    read = infotext.read(written)
    assert read.prompt == as_preserved(f"{prompt} <lora:demo-g01-000004:0.8> <lora:other:1>")
    assert read.negative_prompt == as_preserved(negative)
    assert read.fields == {
        "Steps": "16", "Sampler": sampler, "CFG scale": "6.5", "Seed": str(seed), "Size": "128x192",
        "Model hash": "ababababab", "Model": model, "RNG": "CPU", "Clip skip": "2",
        "Lora hashes": "demo-g01-000004: 0123456789ab, other: ffffffffffff", "Version": "sid",
    }  # fmt: skip


@given(prompts, prompts)
@settings(deadline=None)
def test_reading_and_writing_again_changes_nothing(prompt: str, negative: str) -> None:
    first = infotext.read(infotext.write(shot(prompt, negative, loras=()), "m", {}))
    again = infotext.read(infotext.write(shot(first.prompt, first.negative_prompt, loras=()), "m", {}))
    assert again == first


def test_a_long_line_without_parameters_takes_no_time() -> None:
    started = time.monotonic()
    assert infotext.read("a " * 200_000).fields == {}
    infotext.read("word " * 2000)
    assert time.monotonic() - started < 20


@given(st.text(max_size=200))
def test_any_text_is_read_without_a_crash(text: str) -> None:
    infotext.read(text)


@pytest.mark.parametrize("prompt", ["woman, red apple", "Frau, Äpfel 🍎, <img src=x>"])
def test_a_png_carries_its_shot(tmp_path: Path, prompt: str) -> None:
    drawn, path = shot(prompt), tmp_path / "a.png"
    text = infotext.write(drawn, "papertown", HASHES)
    infotext.save_png(Image.new("RGB", (8, 8)), path, drawn, text)
    assert infotext.shot_of(path) == drawn
    with Image.open(path) as picture:
        assert picture.info["parameters"] == text
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_png_of_another_tool_has_no_shot(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert infotext.shot_of(tmp_path / "a.png") is None


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"width": 1_000_000, "height": 1_000_000}, "width: input should be less than or equal to 32768"),
        ({"width": 0}, "width: input should be greater than or equal to 8"),
        ({"height": -64}, "height: input"),
        ({"steps": 10**9}, "steps: input should be less than or equal to 150"),
        ({"steps": 0}, "steps: input"),
        ({"cfg_scale": float("nan")}, "NaN is no number"),
        ({"cfg_scale": 1e300}, "cfg_scale: input"),
        ({"clip_skip": 99}, "clip_skip: input should be less than or equal to 12"),
        ({"seed": -1}, "seed: input"),
        ({"loras": (LoraUse("a", "", 0, float("inf")),)}, "Infinity is no number"),
        ({"loras": (LoraUse("a", "", 0, 1.0),) * 101}, "at most 100 items"),
        ({"start": Start(0.5, mask=Mask(10**9))}, "start.mask.blur: input"),
        ({"start": Start(2.0)}, "start.denoising_strength: input"),
        ({"start": Start(0.5, shot=shot(steps=10**9))}, "start.shot.steps: input"),
    ],
)
def test_a_shot_beyond_what_sid_plans_is_refused(
    tmp_path: Path, changes: dict[str, object], refusal: str
) -> None:
    path = tmp_path / "a.png"
    infotext.save_png(Image.new("RGB", (64, 64)), path, shot(**changes), "")
    with pytest.raises(UserError, match=refusal) as refused:
        infotext.shot_of(path)
    assert "\n" not in str(refused.value)


def test_a_shot_of_many_passes_is_refused(tmp_path: Path) -> None:
    chain = shot()
    for _ in range(150):
        chain = shot(start=Start(0.5, shot=chain))
    infotext.save_png(Image.new("RGB", (64, 64)), tmp_path / "a.png", chain, "")
    with pytest.raises(UserError, match="nested deeper than 128 levels"):
        infotext.shot_of(tmp_path / "a.png")


def test_long_parameters_are_read_and_longer_ones_refused() -> None:
    fields = ", ".join(f"Key {number}: {number}" for number in range(10_000))
    assert len(infotext.read(f"a\n{fields}").fields) == 10_000
    with pytest.raises(UserError, match="1,000,001 characters, 1,000,000 at most"):
        infotext.read("a" * 1_000_001)
