"""LyCORIS' kinds of LoRA are read as a LoRA with the same delta, and work wherever a LoRA does."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from typer.testing import CliRunner

from bootstrap.cli import main
from bootstrap.errors import UserError
from bootstrap.lora import formats, lycoris
from bootstrap.lora.merge import merged
from bootstrap.lora.targets import target_modules
from bootstrap.models.families.sd1 import SD1
from bootstrap.models.family import BaseModel

Parts = dict[str, torch.Tensor]
LINEAR = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
CONVOLUTION = "lora_unet_mid_block_resnets_0_conv1"


def loha(shape: tuple[int, ...], dim: int, tucker: bool) -> tuple[Parts, torch.Tensor]:
    """Return random tensors for a module of this shape, and their delta without the factor alpha / dim."""
    (out, into, *kernel), factors, parts = shape, [], {}
    for number in ("1", "2"):
        if tucker:
            a, b, core = torch.randn(dim, out), torch.randn(dim, into), torch.randn(dim, dim, *kernel)
            parts[f"hada_t{number}"] = core
            factors.append(torch.einsum("ijkl,ip,jr->prkl", core, a, b))
        else:
            a, b = torch.randn(out, dim), torch.randn(dim, math.prod(shape[1:]))
            factors.append((a @ b).reshape(shape))
        parts |= {f"hada_w{number}_a": a, f"hada_w{number}_b": b}
    return parts, factors[0] * factors[1]


def lokr(shape: tuple[int, ...], dim: int, tucker: bool) -> tuple[Parts, torch.Tensor]:
    (out, into, *kernel), factor = shape, 2
    rows, columns = out // factor, into // factor
    w1_a, w1_b = torch.randn(factor, dim), torch.randn(dim, factor)
    parts = {"lokr_w1_a": w1_a, "lokr_w1_b": w1_b}
    if tucker:
        a, b, core = torch.randn(dim, rows), torch.randn(dim, columns), torch.randn(dim, dim, *kernel)
        parts["lokr_t2"] = core
        second = torch.einsum("ijkl,ip,jr->prkl", core, a, b)
    else:
        a, b = torch.randn(rows, dim), torch.randn(dim, columns * math.prod(kernel))
        second = (a @ b).reshape(rows, columns, *kernel)
    parts |= {"lokr_w2_a": a, "lokr_w2_b": b}
    first = (w1_a @ w1_b).reshape(factor, factor, *(1 for _ in kernel))
    return parts, torch.kron(first.contiguous(), second.clone(memory_format=torch.contiguous_format))


def locon(shape: tuple[int, ...], dim: int, tucker: bool) -> tuple[Parts, torch.Tensor]:
    out, into, *kernel = shape
    up, middle, down = (
        torch.randn(out, dim, 1, 1),
        torch.randn(dim, dim, *kernel),
        torch.randn(dim, into, 1, 1),
    )
    parts = {"lora_up.weight": up, "lora_mid.weight": middle, "lora_down.weight": down}
    return parts, torch.einsum("or,rskl,si->oikl", up[..., 0, 0], middle, down[..., 0, 0])


Maker = Callable[[tuple[int, ...], int, bool], tuple[Parts, torch.Tensor]]
CASES = [
    (loha, LINEAR, False), (loha, CONVOLUTION, False), (loha, CONVOLUTION, True),
    (lokr, LINEAR, False), (lokr, CONVOLUTION, False), (lokr, CONVOLUTION, True), (locon, CONVOLUTION, True),
]  # fmt: skip


def write(path: Path, name: str, parts: Parts, alpha: float | None) -> Path:
    tensors = {f"{name}.{key}": tensor.contiguous() for key, tensor in parts.items()}
    if alpha is not None:
        tensors[f"{name}.alpha"] = torch.tensor(alpha)
    save_file(tensors, path, {"ss_network_module": "lycoris.kohya", "ss_network_args": '{"algo": "any"}'})
    return path


@pytest.mark.parametrize(("make", "name", "tucker"), CASES)
@settings(max_examples=15, deadline=None)
@given(
    out=st.integers(1, 6), into=st.integers(1, 6), dim=st.integers(1, 5),
    alpha=st.none() | st.floats(0.25, 8, width=16), seed=st.integers(0, 99),
)  # fmt: skip
def test_the_delta_follows_the_formula(
    tmp_path_factory: pytest.TempPathFactory, make: Maker, name: str, tucker: bool,
    out: int, into: int, dim: int, alpha: float | None, seed: int,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    shape = torch.Size((2 * out, 2 * into, *((3, 3) if name == CONVOLUTION else ())))
    parts, unscaled = make(shape, dim, tucker)
    path = write(tmp_path_factory.mktemp("l") / "a.safetensors", name, parts, alpha)
    delta = formats.read(path).modules[name].delta()
    assert delta.shape == shape
    expected = unscaled if alpha is None else alpha / dim * unscaled
    assert torch.allclose(delta, expected, atol=1e-4, rtol=1e-4)


def test_alpha_has_no_effect_if_nothing_is_of_low_rank(tmp_path: Path) -> None:
    parts = {"lokr_w1": torch.randn(2, 2), "lokr_w2": torch.randn(3, 4)}
    path = write(tmp_path / "a.safetensors", LINEAR, parts, 0.5)
    expected = torch.kron(parts["lokr_w1"], parts["lokr_w2"])
    assert torch.allclose(formats.read(path).modules[LINEAR].delta(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("lora_unet_down_blocks_0_attentions_0_proj_in", (1, 1)),
        ("lora_unet_down_blocks_1_resnets_0_conv_shortcut", (1, 1)),
        ("lora_unet_down_blocks_0_downsamplers_0_conv", (3, 3)),
        ("lora_unet_down_blocks_0_resnets_0_time_emb_proj", ()),
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", ()),
        ("lora_unet_input_blocks_4_1_proj_in", ()),  # from here on: Stable Diffusion XL
        ("lora_unet_input_blocks_4_0_skip_connection", (1, 1)),
        ("lora_unet_input_blocks_4_0_in_layers_2", (3, 3)),
        ("lora_unet_input_blocks_3_0_op", (3, 3)),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1", ()),
    ],
)
def test_the_kernel_follows_from_the_modules_name(tmp_path: Path, name: str, kernel: tuple[int, ...]) -> None:
    parts, delta = loha((4, 6, *kernel), 1, tucker=False)
    (module,) = formats.read(write(tmp_path / "a.safetensors", name, parts, None)).modules.values()
    assert module.delta().shape == delta.shape
    assert torch.allclose(module.delta(), delta, atol=1e-5)


@pytest.fixture
def whole_loha(papertown: BaseModel, tmp_path: Path) -> tuple[Path, Parts]:
    """A LoHa for all modules of Paper Town, and its delta for each."""
    torch.manual_seed(0)
    tensors, deltas = {}, {}
    for name, module in target_modules(papertown, convolutions=True).items():
        parts, product = loha(module.weight.shape, 2, tucker=False)
        small = {key: 0.1 * tensor for key, tensor in parts.items()}
        tensors |= {f"{name}.{key}": tensor for key, tensor in small.items()}
        tensors[f"{name}.alpha"] = torch.tensor(1.0)
        deltas[name] = 1e-4 / 2 * product
    save_file(tensors, tmp_path / "loha.safetensors")
    return tmp_path / "loha.safetensors", deltas


def test_a_loha_is_merged_into_the_base_model(papertown: BaseModel, whole_loha: tuple[Path, Parts]) -> None:
    path, deltas = whole_loha
    targets = target_modules(papertown, convolutions=True)
    before = {name: module.weight.detach().clone() for name, module in targets.items()}
    with merged(papertown, [(formats.read(path), 0.5)]):
        for name, module in targets.items():
            assert torch.allclose(module.weight, before[name] + 0.5 * deltas[name], atol=1e-6), name


@pytest.mark.parametrize("to", ["kohya", "diffusers"])
def test_a_converted_loha_is_loaded_by_diffusers(
    papertown: BaseModel, whole_loha: tuple[Path, Parts], tmp_path: Path, to: str
) -> None:
    path, deltas = whole_loha
    result = CliRunner().invoke(
        main.app, ["lora", "convert", str(path), str(tmp_path / "c.safetensors"), "--to", to]
    )
    assert result.exit_code == 0, result.output
    assert formats.kind_of(tmp_path / "c.safetensors") == "LoRA"
    pipeline = StableDiffusionPipeline.from_pretrained(
        papertown.spec.source, safety_checker=None, local_files_only=True, dtype=torch.float32
    )
    pipeline.load_lora_weights(str(tmp_path / "c.safetensors"), adapter_name="c")
    targets = [(pipeline.unet, SD1.unet_targets(papertown.denoiser, convolutions=True))]
    targets.append((pipeline.text_encoder, SD1.text_encoder_targets(papertown.text_encoders[0])))
    for model, paths in targets:
        for name, module_path in paths.items():
            delta = model.get_submodule(module_path).get_delta_weight("c").detach()
            assert torch.allclose(delta, deltas[name], atol=1e-6), name


def test_inspect_names_the_kind(whole_loha: tuple[Path, Parts]) -> None:
    result = CliRunner().invoke(main.app, ["lora", "inspect", str(whole_loha[0])])
    assert "kind: LoHa" in result.output
    assert "rank: 4\n" in result.output


def test_a_missing_tensor_and_one_that_does_not_fit_are_named(tmp_path: Path) -> None:
    parts, _ = loha((4, 6), 2, tucker=False)
    without = {key: tensor for key, tensor in parts.items() if key != "hada_w2_b"}
    with pytest.raises(UserError, match=f"'{LINEAR}' is a LoHa, but has no hada_w2_b"):
        formats.read(write(tmp_path / "a.safetensors", LINEAR, without, 1))
    with pytest.raises(UserError, match=r"do not fit together: .*hada_w2_b \(2, 5\)"):
        formats.read(write(tmp_path / "b.safetensors", LINEAR, parts | {"hada_w2_b": torch.randn(2, 5)}, 1))


@settings(max_examples=200, deadline=None)
@given(
    shapes=st.dictionaries(
        st.sampled_from(
            [*lycoris.LOHA, *lycoris.LOKR, lycoris.MIDDLE, "lora_down.weight", "lora_up.weight", "alpha"]
        ),
        st.lists(st.integers(0, 3), max_size=4),
        min_size=1,
    ),
    name=st.sampled_from([LINEAR, CONVOLUTION, "lora_unet_unknown"]),
)
def test_any_other_mix_of_tensors_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, list[int]], name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "mixed.safetensors"
    try:
        formats.read(write(path, name, {key: torch.ones(shape) for key, shape in shapes.items()}, None))
    except UserError as error:
        assert name in str(error)
        assert "\n" not in str(error)


def test_any_of_its_tensors_identifies_the_kind() -> None:
    assert lycoris.kind_of({"hada_w1_a", "alpha"}) == "LoHa"
    assert lycoris.kind_of({"lokr_w2", "lora_up.weight"}) == "LoKr"
    assert lycoris.kind_of({"lora_up.weight", "lora_down.weight", "alpha"}) is None
