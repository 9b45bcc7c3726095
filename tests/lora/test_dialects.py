"""The names that trainers and tools give to one LoRA: all are read as the same, or refused by the tensor's name."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bootstrap.errors import UserError
from bootstrap.lora import formats, header, kohya
from bootstrap.lora.kohya import LoraFile, LoraModule
from bootstrap.lora.merge import merged
from bootstrap.lora.targets import Layer, layers_of
from bootstrap.models.families.kohya_names import first_release_path
from bootstrap.models.family import BaseModel
from tests.sd_checkpoint import unet_name

Renamed = Callable[[str, str], str]  # from path and part to the name in the file


@pytest.fixture(scope="module")
def whole(papertown: BaseModel) -> LoraFile:
    """A LoRA of every Linear and Conv2d layer of Paper Town."""
    return lora_of_all(papertown)


def lora_of_all(base: BaseModel) -> LoraFile:
    generator = torch.Generator().manual_seed(0)
    modules = {}
    for name, layer in every(base).items():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            rows, columns, *kernel = layer.weight.shape
            down = torch.randn((2, columns, *kernel), generator=generator)
            up = torch.randn((rows, 2, *(1 for _ in kernel)), generator=generator)
            modules[name] = LoraModule(down, up, 1.0)
    return LoraFile(modules, {})


def every(base: BaseModel) -> dict[str, Layer]:
    return {name: layer for layers in layers_of(base) for name, layer in layers.items()}


def assert_same_as(base: BaseModel, path: Path, lora: LoraFile) -> None:
    read = formats.read(path)
    assert set(read.modules) == set(lora.modules)
    for name, module in lora.modules.items():
        assert torch.allclose(read.modules[name].delta(), module.delta(), atol=1e-6), name
    merged(base, [(read, 1.0)])  # checks that the base model has each of them


def test_every_layer_is_read_from_kohyas_format(
    papertown: BaseModel, whole: LoraFile, tmp_path: Path
) -> None:
    kohya.write(tmp_path / "a.safetensors", whole.modules, {}, torch.float32)
    assert_same_as(papertown, tmp_path / "a.safetensors", whole)
    assert {"lora_unet_conv_in", "lora_unet_conv_out", "lora_unet_time_embedding_linear_2"} <= set(
        whole.modules
    )


@pytest.mark.parametrize(
    ("rename", "file_format"),
    [
        (lambda path, part: f"lycoris_{path.replace('.', '_')}", "kohya"),
        (lambda path, part: f"{part}.{path}", "diffusers"),
        (lambda path, part: f"{part}.base_model.model.{path}", "diffusers"),
        (lambda path, part: f"base_model.model.{path}", "peft"),
        (lambda path, part: f"base_model.model.{part}.{path}", "peft"),
        (lambda path, part: path, "peft"),
    ],
)
def test_a_module_has_one_name_under_every_prefix(
    papertown: BaseModel, whole: LoraFile, tmp_path: Path, rename: Renamed, file_format: str
) -> None:
    tensors = {}
    for name, module in whole.modules.items():
        stem = rename(*papertown.family.module_path(name))
        tensors |= {f"{stem}.lora_down.weight": module.down, f"{stem}.lora_up.weight": module.up}
        tensors[f"{stem}.alpha"] = torch.tensor(module.alpha)
    save_file(tensors, tmp_path / "a.safetensors")
    assert formats.format_of(tmp_path / "a.safetensors") == file_format
    assert_same_as(papertown, tmp_path / "a.safetensors", whole)


def test_comfyuis_names_of_stable_diffusion_1(tmp_path: Path) -> None:
    """ComfyUI extracts and trains LoRAs under the first release's names; each layer of SD1.5's UNet is found."""
    from tests.models.test_sd_targets import sd15_unet

    paths = [
        path for path, layer in sd15_unet().named_modules()
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d | torch.nn.GroupNorm | torch.nn.LayerNorm)
    ]  # fmt: skip
    tensors = {}
    for path in paths:
        native = unet_name(f"{path}.weight").removeprefix("model.").removesuffix(".weight")
        tensors[f"{native}.diff"] = torch.zeros(1)
    tensors["text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.diff_b"] = torch.zeros(1)
    save_file(tensors, tmp_path / "a.safetensors")
    found = header.recognized(tmp_path / "a.safetensors")
    assert (found.key, found.format) == ("sd1", "comfyui")
    wanted = {f"lora_unet_{path.replace('.', '_')}" for path in paths}
    assert set(formats.read(tmp_path / "a.safetensors").names) == wanted | {
        "lora_te_text_model_encoder_layers_0_mlp_fc1"
    }


@pytest.mark.parametrize("beginning", ["lora_unet_", "diffusion_model."])
def test_both_kinds_of_names_of_xls_outermost_layers(
    small_xl: BaseModel, tmp_path: Path, beginning: str
) -> None:
    whole = lora_of_all(small_xl)
    tensors = {}
    for name, module in whole.modules.items():
        path, part = small_xl.family.module_path(name)
        stem = name
        if part == "unet":
            native = unet_name(f"{path}.weight", sdxl=True).removeprefix("model.diffusion_model.")
            native = native.removesuffix(".weight")
            if not path.startswith(("conv_", "time_embedding", "add_embedding")):
                assert native == first_release_path(path)
            stem = beginning + (native.replace(".", "_") if beginning.endswith("_") else native)
        elif beginning == "diffusion_model.":
            inner = path.removeprefix("text_model.")
            whole_path = path if path == "text_projection" else f"text_model.{inner}"
            stem = f"text_encoders.clip_{'g' if part.endswith('2') else 'l'}.transformer.{whole_path}"
        tensors |= {f"{stem}.lora_down.weight": module.down, f"{stem}.lora_up.weight": module.up}
        tensors[f"{stem}.alpha"] = torch.tensor(module.alpha)
    save_file(tensors, tmp_path / "a.safetensors")
    assert_same_as(small_xl, tmp_path / "a.safetensors", whole)


def test_whole_differences_of_any_layer_are_added(papertown: BaseModel, tmp_path: Path) -> None:
    """As ComfyUI extracts them: also embeddings of tokens, norms under `diff`, and biases of their own."""
    names = (
        "lora_te_text_model_embeddings_token_embedding", "lora_te_text_model_final_layer_norm",
        "lora_unet_conv_norm_out", "lora_unet_conv_out",
    )  # fmt: skip
    layers = every(papertown)
    generator = torch.Generator().manual_seed(0)
    changes = {name: torch.randn(layers[name].weight.shape, generator=generator) for name in names}
    biases = {name: torch.randn(layers[name].bias.shape, generator=generator) for name in names[1:]}
    tensors = {f"{name}.diff": tensor for name, tensor in changes.items()}
    tensors |= {f"{name}.diff_b": tensor for name, tensor in biases.items()}
    save_file(tensors, tmp_path / "a.safetensors")
    before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    biases_before = {name: layers[name].bias.detach().clone() for name in biases}
    with merged(papertown, [(formats.read(tmp_path / "a.safetensors"), 0.5)]):
        for name in names:
            assert torch.allclose(layers[name].weight, before[name] + 0.5 * changes[name], atol=1e-6)
        for name in biases:
            assert torch.allclose(layers[name].bias, biases_before[name] + 0.5 * biases[name], atol=1e-6)
    assert all(torch.equal(layer.weight, before[name]) for name, layer in layers.items())
    assert all(torch.equal(layers[name].bias, biases_before[name]) for name in biases)


def test_a_dora_sees_the_loras_before_it(papertown: BaseModel, tmp_path: Path) -> None:
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    weight = every(papertown)[name].weight.detach().clone()
    down, up = torch.randn(2, weight.shape[1]) * 0.1, torch.randn(weight.shape[0], 2) * 0.1
    magnitudes = 1.5 * weight.norm(dim=0, keepdim=True)
    product = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    save_file(product, tmp_path / "plain.safetensors")
    save_file(product | {f"{name}.dora_scale": magnitudes}, tmp_path / "dora.safetensors")
    plain, dora = (formats.read(tmp_path / f"{kind}.safetensors") for kind in ("plain", "dora"))
    with merged(papertown, [(plain, 1.0), (dora, 1.0)]):
        total = weight + 2 * up @ down
        wanted = total * magnitudes / total.norm(dim=0, keepdim=True)
        assert torch.allclose(every(papertown)[name].weight, wanted, atol=1e-5)


NAME = "lora_unet_mid_block_attentions_0_proj_in"
PRODUCT = {"lora_down.weight": torch.ones(2, 8), "lora_up.weight": torch.ones(8, 2)}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({f"{NAME}.boft_R": torch.ones(2)}, f"'{NAME}.boft_R' is not part of a LoRA"),
        ({f"{NAME}.lokr_t1": torch.ones(2, 2)}, f"'{NAME}.lokr_t1' is not part of a LoRA"),
        ({f"{NAME}.lambda_layer": torch.ones(1, 2)}, f"'{NAME}.lambda_layer' is not part of a LoRA"),
        (
            {f"{NAME}.rescale": torch.ones(8, 1)},
            f"module '{NAME}' has a tensor 'rescale' that has no meaning",
        ),
        (
            {f"{NAME}.w_norm": torch.ones(8)},
            f"module '{NAME}' has a tensor 'lora_down.weight' that has no meaning",
        ),
        ({f"{NAME}.hada_t1": torch.ones(2, 2, 1, 1)}, f"'{NAME}' is a LoHa, but has no hada_w1_a"),
        (
            {f"{NAME}.dora_scale": torch.ones(3, 1)},
            rf"module '{NAME}' do not fit together: .*magnitudes \(3, 1\)",
        ),
        ({f"{NAME}.diff_b": torch.ones(2, 2)}, rf"module '{NAME}' do not fit together: diff_b \(2, 2\)"),
        ({f"{NAME}.scalar": torch.ones(2)}, f"the scalar of module '{NAME}' is not one number"),
        ({f"{NAME}.scalar": torch.tensor(float("nan"))}, f"module '{NAME}' has NaN or infinite values"),
        (
            {f"unet.mid_block.attentions.0.proj_in.{key}": tensor.clone() for key, tensor in PRODUCT.items()},
            "is there twice, under two names of the same module",
        ),
        (
            {"first_stage_model.encoder.diff": torch.ones(2)},
            "it has no 'lora_unet_first_stage_model_encoder'",
        ),
    ],
)
def test_what_is_left_over_is_refused_by_name(
    papertown: BaseModel, tmp_path: Path, tensors: dict[str, torch.Tensor], message: str
) -> None:
    save_file(
        {f"{NAME}.{key}": tensor for key, tensor in PRODUCT.items()} | tensors, tmp_path / "a.safetensors"
    )
    with pytest.raises(UserError, match=message) as refused:
        merged(papertown, [(formats.read(tmp_path / "a.safetensors"), 1.0)])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"diff": torch.ones(3, 3)}, r"is \(3, 3\), the base model papertown has"),
        ({"w_norm": torch.ones(3)}, r"is \(3,\), the base model papertown has"),
        ({"oft_blocks": torch.zeros(3, 5, 5)}, r"is 15 output channels in blocks \(3, 5, 5\)"),
        ({"oft_blocks": torch.zeros(60, 1, 2, 2)}, r"is 2 output channels in blocks \(60, 1, 2, 2\)"),
        ({"weight": torch.ones(3), "on_input": torch.tensor(1)}, "is 3 input channels"),
        ({f"{key}.weight": torch.ones(2, 2) for key in ("a1", "a2", "b1", "b2")}, "is 2 x 2, from"),
        ({"oft_R.weight": torch.zeros(5, 3)}, "is 15 input channels in blocks of 3"),
    ],
)
def test_a_change_of_another_shape_is_refused_before_it_is_made(
    papertown: BaseModel, tmp_path: Path, parts: dict[str, torch.Tensor], message: str
) -> None:
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    save_file({f"{name}.{key}": tensor for key, tensor in parts.items()}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=f"module '{name}' {message}"):
        merged(papertown, [(formats.read(tmp_path / "a.safetensors"), 1.0)])


def test_early_gloras_with_their_matrices_the_other_way_round(papertown: BaseModel, tmp_path: Path) -> None:
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_2"
    weight = every(papertown)[name].weight.detach()
    (out, into), generator = weight.shape, torch.Generator().manual_seed(0)
    a1, a2, b1, b2 = (
        torch.randn(shape, generator=generator) * 0.1 for shape in ((into, 3), (3, into), (out, 3), (3, into))
    )
    orders = {"new": (a1, a2, b1, b2), "old": (a2, a1, b2, b1)}
    for order, matrices in orders.items():
        tensors = {
            f"{name}.{key}.weight": matrix.clone()
            for key, matrix in zip(("a1", "a2", "b1", "b2"), matrices, strict=True)
        }
        save_file(tensors, tmp_path / f"{order}.safetensors")
        change = formats.read(tmp_path / f"{order}.safetensors").changes[name]
        assert torch.allclose(change.changed(weight, 1.0), weight + weight @ a1 @ a2 + b1 @ b2, atol=1e-5), (
            order
        )
