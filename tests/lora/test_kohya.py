"""LoRA files in kohya's format: what is written is read back, and damaged files are refused."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from bootstrap.errors import UserError
from bootstrap.lora import kohya
from bootstrap.lora.kohya import LoraModule

NAME = "lora_unet_mid_block_attentions_0_proj_in"


def random_module(
    rank: int, inputs: int, outputs: int, alpha: float, conv: bool, seed: int = 0
) -> LoraModule:
    generator = torch.Generator().manual_seed(seed)
    tail = (1, 1) if conv else ()
    return LoraModule(
        torch.randn((rank, inputs, *tail), generator=generator),
        torch.randn((outputs, rank, *tail), generator=generator),
        alpha,
    )


@settings(max_examples=40, deadline=None)
@given(
    rank=st.integers(1, 9), inputs=st.integers(1, 12), outputs=st.integers(1, 12),
    alpha=st.floats(0.25, 64, width=16), conv=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_delta_is_alpha_over_rank_times_up_down(
    tmp_path_factory: pytest.TempPathFactory,
    rank: int,
    inputs: int,
    outputs: int,
    alpha: float,
    conv: bool,
    seed: int,
) -> None:
    module = random_module(rank, inputs, outputs, alpha, conv, seed)
    path = tmp_path_factory.mktemp("lora") / "a.safetensors"
    kohya.write(path, {NAME: module}, {}, torch.float32)
    read = kohya.read(path).modules[NAME]
    expected = (
        torch.einsum("or,ri->oi", module.up.flatten(1).double(), module.down.flatten(1).double())
        * alpha
        / rank
    )
    assert read.delta().shape == ((outputs, inputs, 1, 1) if conv else (outputs, inputs))
    assert torch.allclose(read.delta().flatten(1).double(), expected, atol=1e-4, rtol=1e-5)


def test_without_alpha_the_scale_is_one(tmp_path: Path) -> None:
    module = random_module(4, 3, 5, 1.0, conv=False)
    save_file(
        {f"{NAME}.lora_down.weight": module.down, f"{NAME}.lora_up.weight": module.up},
        tmp_path / "a.safetensors",
    )
    assert kohya.read(tmp_path / "a.safetensors").modules[NAME].alpha == 4.0


def test_hashes_are_those_that_other_tools_compute(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    kohya.write(
        path, {NAME: random_module(4, 3, 5, 2.0, conv=True)}, {"ss_network_dim": "4", "modelspec.title": "a"}
    )
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    # A1111 hashes everything after the header; that part does not depend on the metadata.
    assert header["__metadata__"]["sshs_model_hash"] == hashlib.sha256(data[8 + length :]).hexdigest()
    assert kohya.model_hash(path) == header["__metadata__"]["sshs_model_hash"]
    assert set(header) == {
        "__metadata__",
        f"{NAME}.lora_down.weight",
        f"{NAME}.lora_up.weight",
        f"{NAME}.alpha",
    }
    assert header[f"{NAME}.alpha"] == {
        "dtype": "F16",
        "shape": [],
        "data_offsets": header[f"{NAME}.alpha"]["data_offsets"],
    }


@pytest.mark.parametrize("content", [b"", b"not a safetensors file at all", b"\xff" * 64])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.safetensors") as refused:
        kohya.read(path)
    assert "\n" not in str(refused.value)


def test_a_module_without_its_up_matrix_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_file({f"{NAME}.lora_down.weight": torch.zeros(2, 3)}, path)
    with pytest.raises(UserError, match=NAME):
        kohya.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        kohya.read(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize(
    ("down", "up", "alpha", "message"),
    [
        ((4, 3), (5, 2), [4.0], "do not fit together"),
        ((4,), (5,), [4.0], "do not fit together"),
        ((4, 3, 1, 1), (5, 4, 3, 3), [4.0], "do not fit together"),
        ((4, 3), (5, 4), [4.0, 4.0], "alpha"),
        ((4, 3), (5, 4), [float("nan")], "NaN or infinite values"),
    ],
)
def test_an_unusable_module_is_named(
    tmp_path: Path, down: tuple[int, ...], up: tuple[int, ...], alpha: list[float], message: str
) -> None:
    path = tmp_path / "odd.safetensors"
    tensors = {
        "lora_down.weight": torch.ones(down),
        "lora_up.weight": torch.ones(up),
        "alpha": torch.tensor(alpha),
    }
    save_file({f"{NAME}.{part}": tensor for part, tensor in tensors.items()}, path)
    with pytest.raises(UserError, match=f"{NAME}.*{message}|{message}.*{NAME}"):
        kohya.read(path)


def test_weights_of_a_diverged_training_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "diverged.safetensors"
    module = random_module(4, 3, 5, 2.0, conv=False)
    module.up[2, 1] = float("inf")
    kohya.write(path, {NAME: module}, {})
    with pytest.raises(UserError, match="NaN or infinite values"):
        kohya.read(path)
