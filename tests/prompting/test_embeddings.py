"""Reading embeddings: in any precision, with the same values as torch's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bootstrap.errors import UserError
from bootstrap.prompting import embeddings


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_every_precision_is_read_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    vectors = torch.randn((3, 8), generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    save_file({"emb_params": vectors}, tmp_path / "a.safetensors")
    [read] = embeddings.hold(tmp_path / "a.safetensors").vectors
    assert read.dtype == np.float32
    assert np.array_equal(read, vectors.float().numpy())


def test_a_single_vector_may_be_one_dimensional(tmp_path: Path) -> None:
    save_file({"emb_params": torch.ones(8)}, tmp_path / "a.safetensors")
    held = embeddings.hold(tmp_path / "a.safetensors")
    assert held.count == 1 and held.fits([8]) and not held.fits([8, 8])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (torch.full((1, 8), float("nan"), dtype=torch.bfloat16), "NaN or infinite values"),
        (torch.full((1, 8), 1e300, dtype=torch.float64), "NaN or infinite values"),
        (torch.ones(1, 8).to(torch.float8_e4m3fn), "of type F8_E4M3, which is not supported"),
        (torch.ones(76, 8), "76 vectors"),
        (torch.ones(2, 2, 2), r"not all \(vectors, width\)"),
    ],
    ids=["not a number", "too large", "float8", "too many", "three dimensions"],
)
def test_an_unusable_embedding_is_refused_in_one_line(
    tmp_path: Path, vectors: torch.Tensor, message: str
) -> None:
    save_file({"emb_params": vectors}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=message) as refused:
        embeddings.hold(tmp_path / "a.safetensors")
    assert "\n" not in str(refused.value)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.safetensors").open("wb") as file:
        file.truncate(64_000_001)  # takes no space on the disk
    with pytest.raises(UserError, match="64,000,001 bytes, 64,000,000 at most"):
        embeddings.hold(tmp_path / "a.safetensors")
