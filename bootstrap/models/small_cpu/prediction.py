"""What the UNet predicts where no gradient is wanted; on a CPU a small model's rows are shared out among threads.

The operations of a small model are over before a second core has woken up to help with them. So each core has a thread
and a part of the rows; what it does with them is recorded when a shape comes for the first time (see torchscript.py).
"""

import logging
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from weakref import WeakKeyDictionary

import torch
from torch import nn

from bootstrap.errors import in_one_line
from bootstrap.models import conditioning
from bootstrap.models.conditioning import Conditioning
from bootstrap.models.family import BaseModel
from bootstrap.models.small_cpu import torchscript
from bootstrap.models.small_cpu.threads import even_parts, threads
from bootstrap.models.small_cpu.torchscript import NotRecordedError, Script

_MOST = 16  # recordings of a model: of so many shapes
_TOLERANCE = 1e-3  # of the length of a prediction

_Part = tuple[torch.Tensor, ...]  # latents, states, and pooled where there is

_log = logging.getLogger(__name__)


@dataclass
class _Recorded:
    """The recordings of a model, by the shapes of what they are given."""

    scripts: dict[tuple[object, ...], Script] = field(default_factory=dict)
    given_up: bool = False


_of_models: MutableMapping[nn.Module, _Recorded] = WeakKeyDictionary()


def predict(
    base: BaseModel, latents: torch.Tensor, timestep: torch.Tensor, asked: Conditioning
) -> torch.Tensor:
    """Return what `conditioning.predict` returns, for one timestep of all rows and without gradients."""
    parts = even_parts(len(latents))
    if parts == 1 or not base.is_small or base.device.type != "cpu":
        return conditioning.predict(base, latents, timestep, asked)
    recorded = _of_models.setdefault(base.denoiser, _Recorded())
    if recorded.given_up:
        return conditioning.predict(base, latents, timestep, asked)
    given = [latents, asked.states] if asked.pooled is None else [latents, asked.states, asked.pooled]
    cut = list(zip(*(one.tensor_split(parts) for one in given), strict=True))
    shape = tuple((one.shape, one.dtype) for one in (timestep, *cut[0]))
    try:
        script = (
            recorded.scripts.get(shape) or _threads(parts).submit(_record, base, timestep, *cut[:2]).result()
        )
    except torch.OutOfMemoryError:
        raise  # the batch is halved then
    except RuntimeError as error:
        reason = in_one_line(str(error))[:200]
        _log.warning("drawing: its steps cannot be recorded (%s); it goes on without, slower", reason)
        recorded.given_up = True
        return conditioning.predict(base, latents, timestep, asked)
    if shape not in recorded.scripts and len(recorded.scripts) == _MOST:
        recorded.scripts.pop(next(iter(recorded.scripts)))
    recorded.scripts[shape] = script
    return torch.cat(list(_threads(parts).map(lambda part: script(timestep, *part)[0], cut)))


@torch.inference_mode()
def _record(base: BaseModel, timestep: torch.Tensor, part: _Part, other: _Part) -> Script:
    """Record the prediction of a part, and compare it with the plain one of another at another timestep."""

    def plain(
        timestep: torch.Tensor,
        latents: torch.Tensor,
        states: torch.Tensor,
        pooled: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return conditioning.predict(base, latents, timestep, Conditioning(states, pooled))

    script = torchscript.record(lambda: [plain(timestep, *part)], [timestep, *part])
    later = timestep // 2
    expected, [found] = plain(later, *other), script(later, *other)
    if not (found - expected).norm() <= _TOLERANCE * expected.norm():
        raise NotRecordedError("its result is not that of the plain prediction")
    return script


@cache
def _threads(parts: int) -> ThreadPoolExecutor:
    return threads(parts)
