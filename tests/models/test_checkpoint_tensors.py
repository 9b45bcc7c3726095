"""Every tensor of a base model is used, or the model is refused in one line that names the tensor."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bootstrap.errors import UserError
from bootstrap.models import loading, specs
from bootstrap.models.families import stable_diffusion
from bootstrap.models.family import BaseModel
from tests.sd_checkpoint import second_text_encoder, small_sd15, small_sdxl, unet_name, vae_name

Tensors = dict[str, torch.Tensor]

CLIP = "cond_stage_model.transformer.text_model."
UNET = "model.diffusion_model."
A_WEIGHT = f"{UNET}middle_block.1.transformer_blocks.0.attn1.to_q.weight"
PARTS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A small checkpoint of each family; configurations of their sizes replace the shipped ones."""
    folder = tmp_path_factory.mktemp("checkpoints")
    shipped = stable_diffusion.CONFIGS
    xl, configs = small_sdxl(folder, shipped)
    (folder / "sd15").mkdir()
    sd15, small = small_sd15(folder / "sd15", shipped / "sd15")
    for part in PARTS:
        (configs / "sd15" / part / "config.json").write_bytes((small / part / "config.json").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stable_diffusion, "CONFIGS", configs)
        yield {"sd15": sd15, "sdxl": xl}
    loading.release()


@pytest.fixture
def sd15(made: dict[str, Path]) -> Tensors:
    return load_file(made["sd15"])


@pytest.fixture
def sdxl(made: dict[str, Path]) -> Tensors:
    return load_file(made["sdxl"])


def held(path: Path) -> BaseModel:
    loading.release()
    return loading.hold(specs.find(str(path)))


def loaded(tensors: Tensors, tmp_path: Path) -> BaseModel:
    save_file(tensors, tmp_path / "base.safetensors")
    return held(tmp_path / "base.safetensors")


def refusal(load: Callable[[], object]) -> str:
    with pytest.raises(UserError) as refused:
        load()
    line = str(refused.value)
    assert "\n" not in line
    assert len(line) < 500
    assert "meta" not in line
    return line


def released(base: BaseModel) -> Tensors:
    """Return a loaded model's tensors by the names that they have in a single file, but query, key and value."""
    xl = len(base.text_encoders) > 1
    found = {unet_name(name, xl): tensor for name, tensor in base.denoiser.state_dict().items()}
    assert base.vae is not None
    found |= {vae_name(name, 4): tensor for name, tensor in base.vae.state_dict().items()}
    beginning = "conditioner.embedders.0.transformer.text_model." if xl else CLIP
    for name, tensor in base.text_encoders[0].state_dict().items():
        found[beginning + name.removeprefix("text_model.")] = tensor
    return found | (second_text_encoder(base.text_encoders[1]) if xl else {})


def assert_equal(base: BaseModel, wanted: Tensors) -> None:
    in_memory = released(base)
    assert in_memory.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(in_memory[name].flatten(), tensor.float().flatten()), name


def in_eight_bits(tensors: Tensors, kind: torch.dtype, *, rows: bool = False) -> tuple[Tensors, Tensors]:
    """Return the weights of the attention in 8 bits and their factors."""
    weights, factors = {}, {}
    for name, weight in tensors.items():
        if weight.dim() == 2 and ("attn" in name or "_proj." in name) and name.endswith(".weight"):
            largest = weight.float().abs()
            factor = (largest.amax(dim=1, keepdim=True) if rows else largest.max()) / torch.finfo(kind).max
            weights[name], factors[name] = (weight.float() / factor).to(kind), factor
    assert weights
    return weights, factors


@pytest.mark.parametrize(
    ("family", "rows", "spelling", "kind"),
    [
        ("sd15", False, "scale_weight", torch.float8_e4m3fn),
        ("sd15", False, "weight_scale", torch.float8_e5m2),
        ("sd15", True, "scale_weight", torch.float8_e5m2),
        ("sd15", True, "weight_scale", torch.float8_e4m3fn),
        ("sdxl", False, "scale_weight", torch.float8_e4m3fn),
    ],
)
def test_8_bit_weights_are_multiplied_with_their_factors(
    family: str, rows: bool, spelling: str, kind: torch.dtype, made: dict[str, Path], tmp_path: Path
) -> None:
    tensors = load_file(made[family])
    weights, factors = in_eight_bits(tensors, kind, rows=rows)
    stored = tensors | weights | {"scaled_fp8": torch.zeros(0, dtype=kind)}
    for name, factor in factors.items():
        stem = name.removesuffix("weight")
        stored[stem + spelling] = factor
        if spelling == "weight_scale":  # as ComfyUI's newer files
            stored[stem + "input_scale"] = torch.ones(())
            described = json.dumps({"format": str(kind).removeprefix("torch.")}).encode()
            stored[stem + "comfy_quant"] = torch.tensor(list(described), dtype=torch.uint8)
        else:
            stored[stem + "scale_input"] = torch.ones(())
    wanted = tensors | {name: weight.float() * factors[name] for name, weight in weights.items()}
    assert_equal(loaded(stored, tmp_path), wanted)


def test_8_bit_weights_that_openclip_joins_are_multiplied_with_their_factor(
    sdxl: Tensors, tmp_path: Path
) -> None:
    name = "conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_weight"
    factor = sdxl[name].float().abs().max() / 448
    weight = (sdxl[name].float() / factor).to(torch.float8_e4m3fn)
    stored = sdxl | {name: weight, name.removesuffix("weight") + "scale_weight": factor}
    assert_equal(loaded(stored, tmp_path), sdxl | {name: weight.float() * factor})


@pytest.mark.parametrize(
    "kind", [torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2], ids=str
)
def test_every_usual_type_is_read(kind: torch.dtype, sd15: Tensors, tmp_path: Path) -> None:
    stored = {name: tensor.to(kind) for name, tensor in sd15.items()}
    assert_equal(loaded(stored, tmp_path), stored)


def described_as(tensors: Tensors, text: str) -> Tensors:
    described = torch.tensor(list(text.encode()), dtype=torch.uint8)
    weight = tensors[A_WEIGHT].to(torch.float8_e4m3fn)
    return {A_WEIGHT: weight, A_WEIGHT.removesuffix("weight") + "comfy_quant": described}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda all_: {A_WEIGHT: all_[A_WEIGHT].to(torch.int8)}, "is int8"),
        (lambda all_: {A_WEIGHT + "_scale_inv": torch.ones(1, 1)}, "_scale_inv"),
        (lambda all_: {A_WEIGHT + ".absmax": torch.ones(1)}, ".absmax"),
        (lambda all_: {A_WEIGHT + "_scale": torch.ones(())}, "belongs to a weight of 8 bits"),
        (
            lambda all_: {
                A_WEIGHT: all_[A_WEIGHT].to(torch.float8_e4m3fn), A_WEIGHT + "_scale": torch.ones(3, 5),
            },
            "has shape (3, 5)",
        ),
        (
            lambda all_: {
                A_WEIGHT: all_[A_WEIGHT].to(torch.float8_e4m3fn), A_WEIGHT + "_scale": torch.tensor(torch.nan),
            },
            "no finite number",
        ),
        (lambda all_: described_as(all_, '{"format": "nvfp4"}'), "quantized as nvfp4"),
        (lambda all_: described_as(all_, "{"), "comfy_quant"),
    ],
    ids=["int8", "blocks", "bitsandbytes", "factor of fp16", "shape", "nan", "nvfp4", "damaged"],
)  # fmt: skip
def test_other_quantized_weights_are_refused_by_name(
    change: Callable[[Tensors], Tensors], named: str, sd15: Tensors, tmp_path: Path
) -> None:
    line = refusal(lambda: loaded(sd15 | change(sd15), tmp_path))
    assert named in line
    assert "take the checkpoint in fp16 or bf16" in line or "_scale_inv" in line


def test_text_encoders_without_text_model_in_their_names_are_read(
    sd15: Tensors, sdxl: Tensors, tmp_path: Path
) -> None:
    """As in NAI's checkpoints, merges of them, and what transformers 5.6 names them."""
    for tensors in (sd15, sdxl):
        stored = {
            name.replace(".transformer.text_model.", ".transformer."): tensors[name] for name in tensors
        }
        assert stored.keys() != tensors.keys()
        assert_equal(loaded(stored, tmp_path), tensors)


def test_a_checkpoint_that_lacks_a_tensor_is_refused_with_its_name(
    sd15: Tensors, sdxl: Tensors, tmp_path: Path
) -> None:
    of_sd15 = (A_WEIGHT, f"{CLIP}encoder.layers.1.mlp.fc1.weight", "first_stage_model.decoder.norm_out.bias")
    second = "conditioner.embedders.1.model."
    of_sdxl = (f"{second}text_projection", f"{second}transformer.resblocks.0.attn.in_proj_weight")
    for tensors, names in ((sd15, of_sd15), (sdxl, of_sdxl)):
        for name in names:
            line = refusal(
                lambda tensors=tensors, name=name: loaded(
                    {other: tensors[other] for other in tensors if other != name}, tmp_path
                )
            )
            assert f"'{name}'" in line


@pytest.mark.parametrize(("beginning", "title"), [(UNET, "UNet"), ("first_stage_model.", "VAE")])
def test_a_checkpoint_without_a_part_is_refused(
    beginning: str, title: str, sd15: Tensors, tmp_path: Path
) -> None:
    stored = {name: tensor for name, tensor in sd15.items() if not name.startswith(beginning)}
    assert f"it has no {title}" in refusal(lambda: loaded(stored, tmp_path))


def test_a_tensor_of_another_shape_is_refused_with_its_name(sd15: Tensors, tmp_path: Path) -> None:
    line = refusal(lambda: loaded(sd15 | {A_WEIGHT: torch.zeros(64, 63)}, tmp_path))
    assert A_WEIGHT in line
    assert "(64, 63)" in line


@pytest.mark.parametrize(
    "name",
    [
        f"{UNET}time_embed.cond_proj.weight",  # distilled guidance (LCM)
        f"{UNET}middle_block.1.transformer_blocks.0.attn1.to_q.lora_down.weight",
        "control_model.zero_convs.0.0.weight",
        "extra.weight",
    ],
)
def test_a_tensor_that_no_part_has_is_refused_with_its_name(name: str, sd15: Tensors, tmp_path: Path) -> None:
    assert f"'{name}'" in refusal(lambda: loaded(sd15 | {name: torch.zeros(2)}, tmp_path))


def test_what_is_no_weight_of_the_model_does_no_harm(sd15: Tensors, sdxl: Tensors, tmp_path: Path) -> None:
    names = [f"{CLIP}embeddings.position_ids", "alphas_cumprod", "betas", "model_ema.decay", "scale_factor"]
    names += [
        "model_ema.diffusion_modelout2bias",
        "first_stage_model.loss.logvar",
        "cond_stage_model.logit_scale",
    ]
    assert_equal(loaded(sd15 | {name: torch.ones(1) for name in names}, tmp_path), sd15)
    # ComfyUI writes both encoders whole.
    names = [
        "conditioner.embedders.0.transformer.text_projection.weight",
        "conditioner.embedders.0.logit_scale",
    ]
    names += ["conditioner.embedders.1.model.logit_scale", "denoiser.sigmas"]
    assert_equal(loaded(sdxl | {name: torch.ones(1) for name in names}, tmp_path), sdxl)


def test_a_checkpoint_with_the_average_of_its_unet_alone_is_read(sd15: Tensors, tmp_path: Path) -> None:
    stored = {
        "model_ema." + name.removeprefix("model.").replace(".", "") if name.startswith(UNET) else name: tensor
        for name, tensor in sd15.items()
    }
    assert_equal(loaded(stored, tmp_path), sd15)


@pytest.fixture
def folder(made: dict[str, Path], tmp_path: Path) -> Path:
    """The small SD1.5 checkpoint in diffusers' layout, as the libraries write it, without weights."""
    target = tmp_path / "folder"
    configs = stable_diffusion.CONFIGS / "sd15"
    for path in configs.rglob("*.json"):
        (target / path.relative_to(configs).parent).mkdir(parents=True, exist_ok=True)
        (target / path.relative_to(configs)).write_bytes(path.read_bytes())
    (target / "tokenizer" / "merges.txt").write_bytes((configs / "tokenizer" / "merges.txt").read_bytes())
    return target


def written(base: BaseModel, folder: Path, **options: str) -> None:
    """Write a model's parts with the libraries' own functions."""
    for part, module in zip(PARTS, (base.denoiser, base.vae, base.text_encoders[0]), strict=True):
        module.save_pretrained(folder / part, **options)  # type: ignore[union-attr, operator]


def weights_of(folder: Path, part: str) -> Path:
    (path,) = (folder / part).glob("*.safetensors")
    return path


@pytest.mark.parametrize(
    "options",
    [{}, {"variant": "fp16"}, {"max_shard_size": "400KB"}, {"variant": "fp16", "max_shard_size": "400KB"}],
    ids=["plain", "variant", "sharded", "both"],
)
def test_a_folder_is_read_whatever_its_files_are_called(
    options: dict[str, str], made: dict[str, Path], folder: Path
) -> None:
    base = held(made["sd15"])
    written(base, folder, **options)
    files = [path.name for path in (folder / "unet").glob("*.safetensors")]
    assert ("fp16" in files[0]) == ("variant" in options)
    assert (len(files) > 1) == ("max_shard_size" in options)
    assert_equal(held(folder), released(base))


def test_a_folders_plain_files_count_before_a_variant_and_parts_may_differ(
    made: dict[str, Path], folder: Path
) -> None:
    base = held(made["sd15"])
    written(base, folder)
    variant = {
        name: torch.zeros_like(tensor) for name, tensor in load_file(weights_of(folder, "unet")).items()
    }
    save_file(variant, folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    weights_of(folder, "vae").rename(folder / "vae" / "diffusion_pytorch_model.fp16.safetensors")
    assert_equal(held(folder), released(base))


def test_a_folders_older_and_newer_names_are_read(made: dict[str, Path], folder: Path) -> None:
    base = held(made["sd15"])
    written(base, folder)
    vae, encoder = weights_of(folder, "vae"), weights_of(folder, "text_encoder")
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, tensor in load_file(vae).items():
        for new, old in older.items():
            name = name.replace(f".{new}.", f".{old}.")
        renamed[name] = tensor
    save_file(renamed, vae)
    bare = {name.removeprefix("text_model."): tensor for name, tensor in load_file(encoder).items()}
    for beginning in ("", "text_model."):
        stored = {beginning + name: tensor for name, tensor in bare.items()}
        save_file(stored | {f"{beginning}embeddings.position_ids": torch.arange(77)[None]}, encoder)
        assert_equal(held(folder), released(base))


def test_a_folder_with_gaps_or_more_is_refused_with_the_tensors_name(
    made: dict[str, Path], folder: Path
) -> None:
    written(held(made["sd15"]), folder)
    for part, name in (("unet", "conv_out.bias"), ("text_encoder", "encoder.layers.1.mlp.fc1.weight")):
        path = weights_of(folder, part)
        whole = load_file(path)
        (gone,) = [stored for stored in whole if stored.endswith(name)]
        save_file({stored: tensor for stored, tensor in whole.items() if stored != gone}, path)
        assert f"{name}'" in refusal(lambda: held(folder))
        save_file(whole | {"more.weight": torch.zeros(2)}, path)
        assert "'more.weight'" in refusal(lambda: held(folder))
        save_file(whole, path)
    held(folder)


def test_a_folder_that_lacks_a_file_is_refused(made: dict[str, Path], folder: Path) -> None:
    written(held(made["sd15"]), folder, max_shard_size="400KB")
    shard = min((folder / "unet").glob("*.safetensors"))
    shard.unlink()
    line = refusal(lambda: held(folder))
    assert "folder unet has" in line
    for path in (folder / "unet").glob("*.safetensors*"):
        path.unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").touch()
    assert "folder unet has no .safetensors weights (only pickled ones" in refusal(lambda: held(folder))
