"""Small LoRA files that would take all memory or time are refused by name, before anything is computed."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bootstrap.errors import UserError
from bootstrap.lora import formats, kohya
from bootstrap.lora.alpha_patterns import AlphaPatterns

NAME = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
ONE = torch.ones(1)


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.float16)


@pytest.mark.parametrize(
    ("parts", "product"),
    [
        ({"lokr_w1": ones(300, 300), "lokr_w2": ones(300, 300)}, "90,000 x 90,000"),
        ({"lokr_w1_a": ones(9000, 1), "lokr_w1_b": ones(1, 9000), "lokr_w2": ones(1, 1)}, "9,000 x 9,000"),
        ({"lokr_w1": ones(1, 1), "lokr_w2_a": ones(9000, 1), "lokr_w2_b": ones(1, 9000)}, "9,000 x 9,000"),
        ({f"hada_w{n}_{s}": ones(*((20_000, 2) if s == "a" else (2, 20_000))) for n in (1, 2) for s in "ab"},
         "20,000 x 20,000"),
        ({"lora_down.weight": ones(1, 3000), "lora_up.weight": ones(4, 3000), "lora_mid.weight": ones(3000, 1, 3, 3)},
         "3,000 x 27,000"),
    ],
)  # fmt: skip
def test_factors_that_multiply_to_more_than_any_layer_are_refused(
    tmp_path: Path, parts: dict[str, torch.Tensor], product: str
) -> None:
    path = tmp_path / "a.safetensors"
    save_file({f"{NAME}.{suffix}": tensor for suffix, tensor in parts.items()}, path)
    assert path.stat().st_size < 500_000
    with pytest.raises(
        UserError, match=f"'{NAME}' multiply to a matrix of {product}, more than any layer has"
    ):
        formats.read(path)


def test_many_modules_that_multiply_to_more_than_any_model_are_refused(tmp_path: Path) -> None:
    small = {f"{NAME}{number}.lokr_w1": ones(90, 90) for number in range(100)}
    small |= {f"{NAME}{number}.lokr_w2": ones(90, 90) for number in range(100)}
    save_file(small, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="more than 32 GiB"):
        formats.read(tmp_path / "a.safetensors")


def test_a_loha_of_a_large_rank_has_the_same_delta(tmp_path: Path) -> None:
    torch.manual_seed(0)
    parts = {
        f"{NAME}.hada_w{number}_{side}": torch.randn(*((1100, 130) if side == "a" else (130, 60)))
        for number in (1, 2)
        for side in "ab"
    }
    save_file(parts | {f"{NAME}.alpha": torch.tensor(65.0)}, tmp_path / "a.safetensors")
    [module] = formats.read(tmp_path / "a.safetensors").modules.values()
    first, second = (parts[f"{NAME}.hada_w{n}_a"] @ parts[f"{NAME}.hada_w{n}_b"] for n in (1, 2))
    assert module.rank == 60
    assert torch.allclose(module.delta(), 0.5 * first * second, atol=1e-3)


def test_a_file_of_countless_tensors_is_refused(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"{NAME}.{number}": entry for number in range(50_001)}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UserError, match="50,001 tensors, 50,000 at most"):
        formats.read(path)


def test_a_damaged_header_has_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"\xff" * 8 + b"{}")  # says that its header has 2 ** 64 bytes
    with pytest.raises(UserError, match="damaged, not a safetensors file"):
        kohya.model_hash(path)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(.*a){25}", "to_q(", "[a-z]*", "a" * 301, "a++"])
def test_a_regular_expression_in_an_adapters_config_is_refused(tmp_path: Path, pattern: str) -> None:
    save_file(
        {"base_model.model.down_blocks.0.attentions.0.proj_in.lora_A.weight": torch.ones(2, 4),
         "base_model.model.down_blocks.0.attentions.0.proj_in.lora_B.weight": torch.ones(4, 2)},
        tmp_path / "adapter_model.safetensors",
    )  # fmt: skip
    config = {"r": 2, "lora_alpha": 2, "alpha_pattern": {pattern: 4}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="a regular expression that is not supported"):
        formats.read(tmp_path / "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("to_q", ("to_q", "attn1.to_q"), ("my_to_q", "to_q.0")),
        ("^to_q", ("to_q",), ("attn1.to_q",)),
        (r"attn1\.to_q$", ("attn1.to_q", "a.attn1.to_q"), ("attn1xto_q",)),
        ("down.*to_q", ("down.0.to_q", "a.down.to_q", "downto_q"), ("up.to_q", "down.to_k")),
        ("^down.*attn.*to_q", ("down.0.attn1.to_q",), ("a.down.attn.to_q",)),
        ("to_q|to_k", ("a.to_q", "a.to_k"), ("a.to_v",)),
    ],
)
def test_patterns_of_names_match_as_pefts(
    pattern: str, matching: tuple[str, ...], others: tuple[str, ...]
) -> None:
    from peft.utils.other import get_pattern_key

    read = AlphaPatterns.read({pattern: 4})
    for name in (*matching, *others):
        assert (read.alpha_of(name) == 4) is (name in matching), name
        assert (get_pattern_key([pattern], name) == pattern) is (name in matching), name


def adapter(folder: Path, config: dict[str, object], adapter_name: str = "") -> Path:
    """A file as PEFT saves it, with its config."""
    stem = "base_model.model.down_blocks.0.attentions.0.proj_in.lora_"
    matrices = {"A": torch.ones(2, 4), "B": torch.ones(4, 2)}
    tensors = {f"{stem}{letter}{adapter_name}.weight": matrix for letter, matrix in matrices.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 4, **config}))
    return folder / "adapter_model.safetensors"


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_16", "olora", "corda", "loftq", "PiSSA"])
def test_an_adapter_whose_start_changed_the_base_model_is_refused(tmp_path: Path, start: str) -> None:
    with pytest.raises(UserError, match=f"init_lora_weights '{start.lower()}', which changes the base model"):
        formats.read(adapter(tmp_path, {"init_lora_weights": start}))


@pytest.mark.parametrize("start", [True, False, "gaussian", "eva", None])
def test_an_adapter_of_another_start_is_read(tmp_path: Path, start: object) -> None:
    [module] = formats.read(adapter(tmp_path, {"init_lora_weights": start})).modules.values()
    assert module.alpha == 4


@pytest.mark.parametrize("name", [".default", ".style"])
def test_the_name_of_an_adapter_within_its_tensors_names_does_not_matter(tmp_path: Path, name: str) -> None:
    [module] = formats.read(adapter(tmp_path, {}, name)).modules.values()
    assert module.alpha == 4 and module.rank == 2
