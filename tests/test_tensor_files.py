"""The .safetensors files that sid writes: the library's own bytes, in an order that is no chance."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save

from bootstrap import tensor_files


def tensors() -> dict[str, torch.Tensor]:
    """Tensors of several types and shapes: a scalar, an empty one, a view that is not contiguous."""
    values = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    return {
        "b.half": values.half(), "a": values, "turned": values.T, "alpha": torch.tensor(2.5),
        "none": torch.zeros(0, 3), "step": torch.tensor(7), "flags": torch.tensor([True, False, True]),
    }  # fmt: skip


def test_the_bytes_are_those_of_the_library(tmp_path: Path) -> None:
    for metadata in ({}, {"Ännä": 'a "quoted" \\ line\nand \x1f another'}):
        tensor_files.write(tmp_path / "file.safetensors", tensors(), metadata)
        its_own = {name: tensor.contiguous() for name, tensor in tensors().items()}
        assert (tmp_path / "file.safetensors").read_bytes() == save(its_own, metadata or None)
    read = load_file(tmp_path / "file.safetensors")
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors().items())


def test_equal_contents_in_any_order_are_equal_bytes(tmp_path: Path) -> None:
    metadata = {f"key {number}": str(number) for number in range(20)}
    tensor_files.write(tmp_path / "a.safetensors", tensors(), metadata)
    backwards = dict(reversed(tensors().items()))
    tensor_files.write(tmp_path / "b.safetensors", backwards, dict(reversed(metadata.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
