"""Base models are found and checked without loading them."""

import json
import struct

import pytest

from bootstrap import base_model_spec
from bootstrap.base_model_spec import content_hash, find
from bootstrap.errors import UserError


def safetensors(size: int = 8, header: dict | None = None, data: bytes | None = None) -> bytes:
    """The bytes of a .safetensors file with one tensor of `size` bytes."""
    if header is None:
        header = {"weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + (bytes(size) if data is None else data)


def test_papertown_is_embedded_with_its_own_defaults():
    found = find("papertown")
    assert "papertown" in base_model_spec.embedded_names()
    assert (found.kind, found.name, found.title) == ("embedded", "papertown", "papertown")
    assert found.defaults["training"]["network_dim"] == 32
    assert len(content_hash(found)) == 64


def test_a_folder_a_file_and_a_hub_id(tmp_path):
    folder = tmp_path / "my model"
    folder.mkdir()
    (folder / "model_index.json").write_text("{}")
    found = find(str(folder))
    assert (found.kind, found.source, found.title) == ("folder", str(folder), "my model")
    assert find(f"{folder}/").title == "my model"

    file = tmp_path / "majicmix.safetensors"
    file.write_bytes(safetensors())
    found = find(str(file))
    assert (found.kind, found.source, found.title) == ("file", str(file), "majicmix")

    found = find("stable-diffusion-v1-5/stable-diffusion-v1-5")
    assert (found.kind, found.title) == ("hub", "stable-diffusion-v1-5")
    assert found.defaults == {}


def test_a_relative_path_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.safetensors").write_bytes(safetensors())
    assert find("a.safetensors").source == str(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["model.ckpt", "MODEL.CKPT", "x/model.pt", "model.pth", "model.bin"])
def test_pickles_are_refused_with_the_way_out(name):
    with pytest.raises(UserError, match=r"only \.safetensors is read; convert it"):
        find(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no safetensors file"),
        (b"PK\x03\x04" + b"\xff" * 50, "no safetensors file"),
        (struct.pack("<Q", 10) + b"not json!!" + b"data", "header is damaged"),
        (struct.pack("<Q", 2) + b"[]", "header is damaged"),
        (safetensors(header={"weight": {"dtype": "U8"}}), "header is damaged"),
        (safetensors(header={"weight": {"data_offsets": ["a", "b"]}}), "header is damaged"),
        (safetensors(header={"weight": {"data_offsets": []}}), "header is damaged"),
        (safetensors(size=1000, data=bytes(900)), "cut off, 100 bytes are missing"),
        (safetensors()[:20], "no safetensors file"),
    ],
)
def test_a_damaged_file_is_told_before_any_work(tmp_path, content, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        find(str(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("papertwon", "did you mean 'papertown'"),
        ("nonsense", "embedded ones: .*papertown"),
        ("", "its name is empty"),
        ("  ", "its name is empty"),
        ("a/b/c", "unknown"),
        ("../b", "unknown"),
        ("nope.safetensors", "there is no such file"),
    ],
)
def test_what_is_not_there_is_told_with_a_hint(name, message):
    with pytest.raises(UserError, match=message):
        find(name)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(UserError, match=r"no model_index\.json"):
        find(str(tmp_path))


def test_the_hash_follows_the_weights_alone(tmp_path):
    def make(name: str, weights: bytes, extra: str = "") -> str:
        folder = tmp_path / name
        (folder / "unet").mkdir(parents=True)
        (folder / "model_index.json").write_text("{}")
        (folder / "unet" / "model.safetensors").write_bytes(weights)
        if extra:
            (folder / "README.md").write_text(extra)
        return content_hash(find(str(folder)))

    one = make("one", safetensors(8))
    assert make("two", safetensors(8), extra="text") == one
    assert make("three", safetensors(16)) != one
    assert content_hash(find("someone/model")) != content_hash(find("someone/other"))
