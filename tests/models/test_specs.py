"""Finding and checking base models without loading them."""

import json
import struct

import pytest

from bootstrap.errors import UserError
from bootstrap.models import checkpoint, registry, specs
from bootstrap.models.specs import content_hash, find, predicting

SD1 = "cond_stage_model.transformer.text_model.final_layer_norm.weight"
SDXL = "conditioner.embedders.1.model.ln_final.weight"


def safetensors(
    size: int = 8,
    header: dict | None = None,
    data: bytes | None = None,
    names: tuple[str, ...] = (SD1,),
    **metadata: str,
) -> bytes:
    """Return the bytes of a .safetensors file with tensors of `size` bytes."""
    if header is None:
        header = {name: {"dtype": "U8", "shape": [size], "data_offsets": [0, size]} for name in names}
        header |= {"__metadata__": metadata} if metadata else {}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + (bytes(size) if data is None else data)


def test_papertown_is_embedded_with_its_own_defaults():
    spec = find("papertown")
    assert "papertown" in specs.embedded_names()
    assert (spec.kind, spec.name, spec.title) == ("embedded", "papertown", "papertown")
    assert spec.defaults["training"]["network_dim"] == 32
    assert len(content_hash(spec)) == 64


def test_a_folder_a_file_and_a_hub_id(tmp_path):
    folder = tmp_path / "my model"
    folder.mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    spec = find(str(folder))
    assert (spec.kind, spec.source, spec.title) == ("folder", str(folder), "my model")
    assert find(f"{folder}/").title == "my model"

    file = tmp_path / "majicmix.safetensors"
    file.write_bytes(safetensors())
    spec = find(str(file))
    assert (spec.kind, spec.source, spec.title) == ("file", str(file), "majicmix")

    spec = find("stable-diffusion-v1-5/stable-diffusion-v1-5")
    assert (spec.kind, spec.title) == ("hub", "stable-diffusion-v1-5")
    assert spec.defaults == {}


def test_a_relative_path_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.safetensors").write_bytes(safetensors())
    assert find("a.safetensors").source == str(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["model.ckpt", "MODEL.CKPT", "x/model.pt", "model.pth", "model.bin"])
def test_pickles_are_refused_with_a_remedy(name):
    with pytest.raises(UserError, match=r"only \.safetensors is read; convert it"):
        find(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a safetensors file"),
        (b"PK\x03\x04" + b"\xff" * 50, "not a safetensors file"),
        (struct.pack("<Q", 10) + b"not json!!" + b"data", "header is damaged"),
        (struct.pack("<Q", 2) + b"[]", "header is damaged"),
        (safetensors(header={"weight": {"dtype": "U8"}}), "header is damaged"),
        (safetensors(header={"weight": {"data_offsets": ["a", "b"]}}), "header is damaged"),
        (safetensors(header={"weight": {"data_offsets": []}}), "header is damaged"),
        (safetensors(size=1000, data=bytes(900)), "cut off, 100 bytes are missing"),
        (safetensors()[:20], "not a safetensors file"),
    ],
)
def test_a_damaged_file_is_refused_before_any_work(tmp_path, content, message):
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
        ("../q", "unknown"),
        ("nope.safetensors", "there is no such file"),
    ],
)
def test_an_unknown_name_is_refused_with_a_hint(name, message):
    with pytest.raises(UserError, match=message):
        find(name)


def test_a_folder_that_is_not_a_model(tmp_path):
    with pytest.raises(UserError, match=r"no model_index\.json"):
        find(str(tmp_path))


def test_the_hash_depends_only_on_the_weights(tmp_path):
    def make(name: str, weights: bytes, extra: str = "") -> str:
        folder = tmp_path / name
        (folder / "unet").mkdir(parents=True)
        (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
        (folder / "unet" / "model.safetensors").write_bytes(weights)
        if extra:
            (folder / "README.md").write_text(extra)
        return content_hash(find(str(folder)))

    first_hash = make("one", safetensors(8))
    assert make("two", safetensors(8), extra="text") == first_hash
    assert make("three", safetensors(16)) != first_hash
    assert content_hash(find("someone/model")) != content_hash(find("someone/other"))


@pytest.mark.parametrize(
    ("names", "metadata", "family", "prediction_type", "zero_snr"),
    [
        ([SD1], {}, "sd1", "epsilon", False),
        (["conditioner.embedders.0.transformer.x", SDXL], {}, "sdxl", "epsilon", False),
        ([SDXL, "v_pred"], {}, "sdxl", "v_prediction", False),
        ([SDXL, "v_pred", "ztsnr"], {}, "sdxl", "v_prediction", True),
        ([SD1], {"modelspec.prediction_type": "v"}, "sd1", "v_prediction", False),
        ([SD1], {"modelspec.prediction_type": "epsilon"}, "sd1", "epsilon", False),
    ],
)
def test_a_files_header_identifies_family_and_prediction_type(
    tmp_path, names, metadata, family, prediction_type, zero_snr
):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(names=names, **metadata))
    header = checkpoint.read(path)
    assert registry.of_file(path, header).name == family
    assert (header.prediction_type, header.has_zero_snr) == (prediction_type, zero_snr)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("cond_stage_model.model.ln_final.weight", "Stable Diffusion 2"),
        ("conditioner.embedders.0.model.ln_final.weight", "refiner"),
        ("model.diffusion_model.joint_blocks.0.x_block.mlp.fc1.weight", "Stable Diffusion 3"),
        ("double_blocks.0.img_attn.norm.key_norm.scale", r"FLUX\.1"),
        ("lora_unet_mid_block_attentions_0_proj_in.alpha", "a LoRA"),
        ("model.diffusion_model.input_blocks.0.0.bias", "without CLIP text encoders"),
        ("some.weight", "unknown kind"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name_before_any_work(tmp_path, name, what):
    path = tmp_path / "other.safetensors"
    path.write_bytes(safetensors(names=(name,)))
    with pytest.raises(UserError, match=rf"other\.safetensors: it is .*{what}") as refused:
        find(str(path))
    assert "\n" not in str(refused.value)


def test_an_inpainting_model_is_refused(tmp_path):
    first = {"dtype": "U8", "shape": [320, 9, 3, 3], "data_offsets": [0, 8]}
    path = tmp_path / "model.safetensors"
    path.write_bytes(
        safetensors(
            header={"model.diffusion_model.input_blocks.0.0.weight": first, SDXL: first}, data=bytes(8)
        )
    )
    with pytest.raises(UserError, match="inpainting"):
        find(str(path))


@pytest.mark.parametrize(
    ("pipeline", "width", "what"),
    [
        ("StableDiffusion3Pipeline", 0, "a StableDiffusion3Pipeline"),
        ("FluxPipeline", 0, "a FluxPipeline"),
        ("StableDiffusionPipeline", 1024, r"Stable Diffusion 2\.x"),
        ("StableDiffusionXLImg2ImgPipeline", 1280, "a StableDiffusionXLImg2ImgPipeline"),
    ],
)
def test_a_folder_of_another_kind_is_refused_by_name(tmp_path, pipeline, width, what):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(json.dumps({"cross_attention_dim": width}))
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    with pytest.raises(UserError, match=what):
        find(str(tmp_path))


def test_another_prediction_type_makes_another_model(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(names=(SDXL, "v_pred")))
    original = find(str(path))
    assert predicting(original, None) == predicting(original, "v_prediction") == original
    changed = predicting(original, "epsilon")
    assert changed != original
    assert content_hash(changed) != content_hash(original)
    assert content_hash(changed)[:10] == content_hash(original)[:10]  # infotext still identifies the file
    assert len(content_hash(changed)) == 64
    hub = find("someone/model")
    assert content_hash(predicting(hub, "epsilon")) != content_hash(hub)
    assert predicting(find("papertown"), "v_prediction") == find("papertown")
