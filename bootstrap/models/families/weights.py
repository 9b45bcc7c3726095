"""Filling a model with the tensors of its files, so that each tensor is used or the files are refused by name.

The libraries' own readers fill what they find: a tensor that is missing stays random or without memory, one that they
do not know is dropped, a scale of 8-bit weights among them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bootstrap import reading
from bootstrap.errors import UserError, in_one_line
from bootstrap.models import checkpoint
from bootstrap.models.families.release_names import Source, Sources

_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_EIGHT_BITS = (torch.float8_e4m3fn, torch.float8_e5m2)
# What may stand beside an 8-bit weight: its factor, by ComfyUI's two names; the factor of the inputs, which only
# arithmetic in 8 bits needs; and a description.
_FACTORS = ("scale_weight", "weight_scale")
_OF_INPUTS = ("scale_input", "input_scale")
_DESCRIPTION = "comfy_quant"
_KNOWN_FORMATS = ("float8_e4m3fn", "float8_e5m2")
_QUANTIZED = ("scale", "quant", "absmax", "zero_point", "qweight", "qzeros")  # in the names of other ways
_FULL = "take the checkpoint in fp16 or bf16"


@dataclass(frozen=True)
class Part:
    """A part of a base model that has weights."""

    title: str  # for messages: UNet
    module: nn.Module  # its parameters have no memory yet
    sources: Sources


class Stored:
    """The tensors of one or several files, by name."""

    def __init__(self, name: str, files: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = shapes
        self._name, self._files = name, files

    def get(self, name: str) -> torch.Tensor:
        """Read one tensor.

        Raises:
            UserError: it is of a type that only a newer release knows.
        """
        tensor: torch.Tensor = self._files[name].get_tensor(name)
        return tensor

    def weight(self, name: str) -> torch.Tensor:
        """Read a weight; one of 8 bits that has a factor is multiplied with it, in float32.

        Raises:
            UserError: it is quantized in a way that is not read.
        """
        tensor = self.get(name)
        companions = [other for other in beside(name) if other in self.shapes]
        if tensor.dtype in _FLOATS:
            if companions:
                raise self._refusal(f"'{companions[0]}' belongs to a weight of 8 bits, but '{name}' has more")
            return tensor
        if tensor.dtype not in _EIGHT_BITS:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise self._refusal(f"'{name}' is {kind}: its weights are quantized in a way that is not read")
        described = next((other for other in companions if other.endswith(_DESCRIPTION)), None)
        if described is not None:
            self._check_description(described)
        factors = [other for other in companions if other.endswith(_FACTORS)]
        if not factors:
            return tensor
        if len(factors) > 1:
            raise self._refusal(f"'{name}' has two factors, '{factors[0]}' and '{factors[1]}'")
        factor = self.get(factors[0]).float()
        shape = tuple(factor.shape)
        if factor.numel() != 1 and _without_ones(shape) not in ((len(tensor),), (len(tensor), 1)):
            raise self._refusal(
                f"'{factors[0]}' has shape {shape}; one factor for all, or one for each row, is read"
            )
        if not bool(torch.isfinite(factor).all()):
            raise self._refusal(f"'{factors[0]}' is no finite number")
        return tensor.float() * factor.reshape(-1, *[1] * (tensor.dim() - 1))

    def _check_description(self, name: str) -> None:
        where = f"base model {self._name}: '{in_one_line(name)}'"
        content = reading.parse_json(bytes(self.get(name).to(torch.uint8).flatten().tolist()), where, _FULL)
        stated = content.get("format") if isinstance(content, dict) else content
        if stated not in _KNOWN_FORMATS:
            raise self._refusal(
                f"its weights are quantized as {in_one_line(str(stated))[:60]} ('{name}'), which is not read"
            )

    def _refusal(self, reason: str) -> UserError:
        return UserError(f"base model {self._name}: {in_one_line(reason)}; {_FULL}")


def beside(name: str) -> list[str]:
    """Return the names that may stand beside a weight of 8 bits."""
    stem = name.removesuffix("weight")
    return [stem + last for last in (*_FACTORS, *_OF_INPUTS, _DESCRIPTION)]


@contextmanager
def opened(name: str, paths: Sequence[Path]) -> Iterator[Stored]:
    """Open the files of a model, or of a part of it.

    Args:
        name: of the base model, for messages.

    Raises:
        UserError: a file is damaged, or two of them hold the same tensor.
    """
    with ExitStack() as stack:
        files: dict[str, Any] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for path in paths:
            header = checkpoint.read(path)
            file = stack.enter_context(
                reading.safetensors(path, f"base model {path}", "download the model again")
            )
            twice = shapes.keys() & header.shapes.keys()
            if twice:
                raise UserError(
                    f"base model {name}: two of its files hold '{in_one_line(min(twice))}'; download the model again"
                )
            shapes |= header.shapes
            files |= dict.fromkeys(header.shapes, file)
        yield Stored(name, files, shapes)


def fill(
    name: str, stored: Stored, parts: Sequence[Part], is_left_out: Callable[[str], bool], dtype: torch.dtype
) -> None:
    """Fill the parts with tensors in `dtype`, on the CPU.

    Args:
        name: of the base model, for messages.
        is_left_out: whether a tensor that no part has is none of the model's weights.

    Raises:
        UserError: a tensor is missing, has another shape, is of no part, or is quantized in a way that is not read.
    """
    chosen = [_chosen(name, stored, part) for part in parts]
    used = {source.name for of_part in chosen for source in of_part.values()}
    used |= {other for weight in used for other in beside(weight)}
    unused = sorted(other for other in stored.shapes if other not in used and not is_left_out(other))
    if unused:
        example = f"'{in_one_line(unused[0])[:150]}'"
        last = unused[0].rpartition(".")[2]
        if any(word in last for word in _QUANTIZED):
            raise UserError(
                f"base model {name}: its weights are quantized in a way that is not read ({example}); {_FULL}"
            )
        titles = ", ".join(part.title for part in parts)
        raise UserError(
            f"base model {name}: {len(unused):,} of its tensors belong to no part that is read ({titles}), such as "
            f"{example}, so the model would be another one without them; take a plain base checkpoint"
        )
    for part, of_part in zip(parts, chosen, strict=True):
        state = part.module.state_dict()
        filled = {
            inner: _taken(name, stored, source, tuple(state[inner].shape)).to(dtype, copy=True)
            for inner, source in of_part.items()
        }
        part.module.load_state_dict(filled, strict=True, assign=True)


def _chosen(name: str, stored: Stored, part: Part) -> dict[str, Source]:
    """Return the source of each of a part's tensors that the files have."""
    chosen = {}
    missing = []
    for inner, alternatives in part.sources.items():
        source = next((source for source in alternatives if source.name in stored.shapes), None)
        if source is None:
            missing.append(alternatives[0].name)
        else:
            chosen[inner] = source
    if not chosen:
        raise UserError(
            f"base model {name}: it has no {part.title} (no tensor such as '{missing[0]}'); take a whole checkpoint"
        )
    if missing:
        raise UserError(
            f"base model {name}: it lacks {len(missing):,} of the {len(part.sources):,} tensors of its {part.title}, "
            f"such as '{missing[0]}'; take a whole checkpoint, or download it again"
        )
    return chosen


def _taken(name: str, stored: Stored, source: Source, shape: tuple[int, ...]) -> torch.Tensor:
    """Read one tensor in the shape that the model needs; 1x1 convolutions and linear layers are the same."""
    tensor = stored.weight(source.name)
    if source.third is not None:
        if len(tensor) % 3:
            raise UserError(
                f"base model {name}: '{source.name}' joins no three matrices of one size; {_FULL}"
            )
        tensor = tensor[source.third * len(tensor) // 3 :][: len(tensor) // 3]
    if source.transposed:
        tensor = tensor.T.contiguous()
    if _without_ones(tuple(tensor.shape)) != _without_ones(shape):
        raise UserError(
            f"base model {name}: '{source.name}' has shape {tuple(stored.shapes[source.name])}, which does not fit "
            f"({shape} is needed); take a plain base checkpoint"
        )
    return tensor.reshape(shape)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without the trailing sides of 1, which a kernel of one pixel has."""
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape
