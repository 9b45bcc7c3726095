"""The checked reader: what it returns, what it refuses in one line, and that nothing else parses files from outside."""

import ast
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import reading
from bootstrap.errors import UserError
from tests.test_house import ROOT, SOURCES

DEEP = "[" * 5000 + "]" * 5000


def refused(door: Callable[[], object]) -> str:
    """Return the one line with which a door refuses its input."""
    with pytest.raises(UserError) as caught:
        door()
    message = str(caught.value)
    assert message.isprintable() and 0 < len(message) <= 500
    return message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ("[NaN]", "NaN"),
        ("[-Infinity]", "-Infinity"),
        ("[1e999]", "1e999"),
        ("[99999999999999999999]", "64 bits"),
        ("[" + "9" * 5000 + "]", "64 bits"),
        ('["\\ud800"]', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        (DEEP, "128 levels"),
        ("[" * 129 + "]" * 129, "128 levels"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "128 levels"),
        ("[" + "[]," * 500_000 + "[]]", "500,000"),
        (b'["\xff"]', "0xff at 2"),
        ('["a', "line 1, column 2"),
        ("", "line 1, column 1"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_json_that_no_file_may_hold(text: str | bytes, problem: str) -> None:
    message = refused(lambda: reading.parse_json(text, "file a.json", "get it again"))
    assert message.startswith("file a.json: ") and problem in message


def test_json_within_the_limits() -> None:
    for value in (
        [2**63 - 1, -(2**63), 1e308, "\U0001f600", None, True, {"ä": []}],
        eval("[" * 128 + "]" * 128),
    ):
        assert reading.parse_json(json.dumps(value), "file", "") == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = " + DEEP, "128 levels"),
        ("a." * 50_000 + "b = 1", "128 parts"),  # tomllib's memory grows with the square
        ('"a" . ' * 500 + "b = 1", "128 parts"),
        ("a = 0x" + "f" * 5000, "64 bits"),
        ("a = " + "9" * 5000, "digits"),
        ("a = 1\na = 2", "overwrite"),
        ("a", "Expected"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_toml_that_no_file_may_hold(text: str, problem: str) -> None:
    assert problem in refused(lambda: reading.parse_toml(text, "file a.toml"))


def test_long_texts_with_dots_are_no_long_keys() -> None:
    text = 'caption = "' + "a." * 500 + '"\nsteps = [' + "0.1, " * 500 + "]\n# " + "a." * 500
    assert len(reading.parse_toml(text, "file")["steps"]) == 500


def test_yaml_with_aliases_or_odd_keys_is_refused() -> None:
    assert "aliases" in refused(lambda: reading.parse_yaml("a: &x [1]\nb: [*x, *x]", "file"))
    assert "not valid YAML" in refused(lambda: reading.parse_yaml("[a: b", "file"))
    assert "not valid YAML" in refused(lambda: reading.parse_yaml("? {a: b}\n: c", "file"))
    assert reading.parse_yaml("a: [x, y]", "file") == {"a": ["x", "y"]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"name,category\nsmile,0\nhat\n", "row 2"),
        (b"name\nsmile\n", "columns `name` and `category`"),
        (b"", "columns"),
        (b'name,category\n"' + b"x" * 200_000 + b'",0\n', "field"),
        (b"name,category\n\xff,0\n", "UTF-8"),
    ],
)
def test_csv_that_no_table_may_hold(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "tags.csv"
    path.write_bytes(content)
    assert problem in refused(lambda: reading.csv_file(path, ("name", "category"), f"table {path}"))


TEXT = "woman, caf\u00e9 sign, \u5e3d\u5b50"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_texts_of_other_tools_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(f'caption = "{TEXT}"\r\n'.encode(encoding))
    assert reading.toml_file(path, str(path)) == {"caption": TEXT}
    marked = "\ufeff" + TEXT if encoding.endswith("e") else TEXT  # UTF-16 of a given order, with its mark
    for ending in ("", "\n", "\r\n\r\n", "\r \r", "\n\n\n"):
        path.write_bytes((marked + ending).encode(encoding))
        assert reading.caption_file(path, str(path)) == TEXT


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("caf\u00e9".encode("cp1252"), "not UTF-8 text (byte 0xe9 at 3)"),
        ("it\u2019s, caf\u00e9".encode("cp1252"), "not UTF-8 text (byte 0x92 at 2)"),
        ("\u0448\u043b\u044f\u043f\u0430".encode("cp1251"), "not UTF-8 text"),
        ("\u5e3d\u5b50".encode("gbk"), "not UTF-8 text"),
        ("woman".encode("utf-32"), "not UTF-8 text"),
        ("woman".encode("utf-16")[:-1], "not UTF-16 text"),
        (b"\xff\xfe\x00\xd8w\x00", "not UTF-16 text"),  # half of a surrogate pair
        (b"wo\0man", "NUL characters"),
    ],
)
def test_texts_in_other_encodings_are_refused_by_name(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    said = refused(lambda: reading.caption_file(path, str(path)))
    assert str(path) in said and problem in said and "save it as UTF-8" in said


def test_a_caption_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\nwoman, smile\n\nwoman, hat\n")
    assert "it has 2 lines, and a caption is one line" in refused(
        lambda: reading.caption_file(path, str(path))
    )


def _safetensors(header: object, body: bytes = b"\0" * 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


_TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x05",
        struct.pack("<Q", 2**62) + b"{}",
        _safetensors([]),
        _safetensors(7),
        _safetensors(DEEP.encode()),
        _safetensors(b'{"a": NaN}'),
        _safetensors({"a": 7}),
        _safetensors({"a": {**_TENSOR, "shape": "2"}}),
        _safetensors({"a": {**_TENSOR, "shape": [-2]}}),
        _safetensors({"a": {**_TENSOR, "shape": [2.0]}}),
        _safetensors({"a": {**_TENSOR, "data_offsets": [8, 0]}}),
        _safetensors({"a": {**_TENSOR, "data_offsets": [0, 2**70]}}),
        _safetensors({"a": {**_TENSOR, "data_offsets": [0]}}),
        _safetensors({"a": _TENSOR}, b""),
        _safetensors({"__metadata__": {"a": 1}}),
        _safetensors({"__metadata__": []}),
    ],
    ids=range(17),
)
def test_headers_that_no_safetensors_file_may_have(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert "get it again" in refused(lambda: reading.safetensors_header(path, "LoRA a", "get it again"))


def test_the_header_of_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(_safetensors({"__metadata__": {"k": "v"}, "a": _TENSOR}))
    header = reading.safetensors_header(path, "LoRA a", "")
    assert (header.shapes, header.metadata) == ({"a": (2,)}, {"k": "v"})
    assert path.read_bytes()[header.begin :] == b"\0" * 8


def test_only_regular_files_are_opened_and_none_is_waited_for(tmp_path: Path) -> None:
    """A FIFO would make a plain open() wait for ever."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("fifo", "folder", "device", "a\0b"):
        for door in (reading.text_file, lambda path, where: reading.json_file(path, where, "")):
            assert "file x: " in refused(lambda name=name, door=door: door(tmp_path / name, "file x"))


def test_files_that_are_too_long_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("x" * 101)
    assert "more than 100 bytes" in refused(lambda: reading.text_file(path, "file", 100))


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfwoman")
    assert reading.text_file(path, "caption") == "woman"


@pytest.mark.parametrize(
    "path",
    ["../a.png", "a/../../a.png", "/etc/hostname", "link/a.png", "link", ".", "", "a\0b", "fifo", "folder"],
)
def test_paths_that_lead_out_of_a_project_or_to_no_file(tmp_path: Path, path: str) -> None:
    project = tmp_path / "project"
    (project / "folder").mkdir(parents=True)
    (tmp_path / "a.png").write_bytes(b"x")
    (project / "link").symlink_to(tmp_path)
    os.mkfifo(project / "fifo")
    assert refused(lambda: reading.inside(project, path, "pick")).startswith("pick: ")


def test_paths_inside_a_project(tmp_path: Path) -> None:
    project = tmp_path / "real"
    (project / "folder").mkdir(parents=True)
    (project / "folder" / "a.png").write_bytes(b"x")
    (tmp_path / "link").symlink_to(project)  # the project's own folder may be a link
    for folder in (project, tmp_path / "link"):
        for path in ("folder/a.png", "folder/new.png"):
            assert reading.inside(folder, path, "pick") == folder / path


# Who may call a parser: the reader, and code that reads only what it, or a library beside it, has just written.
_PARSERS = {
    "json.load", "json.loads", "json.JSONDecoder", "tomllib.load", "tomllib.loads", "tomlkit.parse", "csv.reader",
    "csv.DictReader", "yaml.load", "yaml.safe_load", "ast.literal_eval", "eval", "exec", "torch.load", "pickle.load",
    "pickle.loads", "safe_open", "load_file", "deserialize", "np.load", "marshal.loads", "shelve.open", "joblib.load",
}  # fmt: skip
_MAY = {
    "bootstrap/reading.py": {
        "json.JSONDecoder",
        "tomllib.loads",
        "csv.DictReader",
        "yaml.safe_load",
        "safe_open",
    },
    "bootstrap/project/editing.py": {"tomlkit.parse"},  # after the reader, for the comments
    "review_app/login_settings.py": {"tomlkit.parse"},  # the same
    "bootstrap/prompting/embeddings.py": {"deserialize"},  # of bytes from the reader
    "bootstrap/papertown/training.py": {"torch.load"},  # with weights_only, of its own checkpoint
    "bootstrap/papertown/base.py": {"np.load"},  # of what it has just computed, without pickles
    "bootstrap/papertown/data.py": {"np.load"},  # the same
    "bootstrap/papertown/text.py": {"json.loads"},  # of the tokenizer that it has just trained
    "bootstrap/papertown/figures.py": {"json.loads"},  # of an installed package's own data
}


def test_nothing_else_parses_what_comes_from_outside() -> None:
    used: dict[str, set[str]] = {}
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        names = {name for node in ast.walk(tree) if (name := _name(node)) in _PARSERS}
        if names:
            used[path.relative_to(ROOT).as_posix()] = names
    assert used == _MAY


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
