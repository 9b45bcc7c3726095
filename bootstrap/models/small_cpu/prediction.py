"""The denoiser's prediction without gradients; on a CPU, threads share the rows of a small model's batch.

A small model's operations finish before a second core has woken up to help. So each core has a thread and a part of the
rows; the operations are recorded when a shape first appears (see torchscript.py).
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

_MOST = 16  # recordings per model, one for each shape
_TOLERANCE = 1e-3  # of the norm of a prediction

_Part = tuple[torch.Tensor, ...]  # latents, states, and pooled if the family has it

_log = logging.getLogger(__name__)


@dataclass
class _Recorded:
    """A model's recordings, by the shapes of their inputs."""

    scripts: dict[tuple[object, ...], Script] = field(default_factory=dict)
    given_up: bool = False


_of_models: MutableMapping[nn.Module, _Recorded] = WeakKeyDictionary()


def predict(
    base: BaseModel, latents: torch.Tensor, timestep: torch.Tensor, prompts: Conditioning
) -> torch.Tensor:
    """Return the result of `conditioning.predict`, for one timestep for all rows and without gradients."""
    count = even_parts(len(latents))
    if count == 1 or not base.is_small or base.device.type != "cpu":
        return conditioning.predict(base, latents, timestep, prompts)
    recorded = _of_models.setdefault(base.denoiser, _Recorded())
    if recorded.given_up:
        return conditioning.predict(base, latents, timestep, prompts)
    inputs = [latents, prompts.states]
    if prompts.pooled is not None:
        inputs.append(prompts.pooled)
    parts = list(zip(*(tensor.tensor_split(count) for tensor in inputs), strict=True))
    shape = tuple((tensor.shape, tensor.dtype) for tensor in (timestep, *parts[0]))
    try:
        script = (
            recorded.scripts.get(shape)
            or _threads(count).submit(_record, base, timestep, *parts[:2]).result()
        )
    except torch.OutOfMemoryError:
        raise  # the caller halves the batch
    except RuntimeError as error:
        reason = in_one_line(str(error))[:200]
        _log.warning("drawing: its steps cannot be recorded (%s); it continues eagerly, slower", reason)
        recorded.given_up = True
        return conditioning.predict(base, latents, timestep, prompts)
    if shape not in recorded.scripts and len(recorded.scripts) == _MOST:
        recorded.scripts.pop(next(iter(recorded.scripts)))
    recorded.scripts[shape] = script
    return torch.cat(list(_threads(count).map(lambda part: script(timestep, *part)[0], parts)))


@torch.inference_mode()
def _record(base: BaseModel, timestep: torch.Tensor, part: _Part, check_part: _Part) -> Script:
    """Record the prediction of a part, and check it against eager prediction of another part at another timestep."""

    def eager(
        timestep: torch.Tensor,
        latents: torch.Tensor,
        states: torch.Tensor,
        pooled: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return conditioning.predict(base, latents, timestep, Conditioning(states, pooled))

    script = torchscript.record(lambda: [eager(timestep, *part)], [timestep, *part])
    check_timestep = timestep // 2
    expected, [replayed] = eager(check_timestep, *check_part), script(check_timestep, *check_part)
    if not (replayed - expected).norm() <= _TOLERANCE * expected.norm():
        raise NotRecordedError("its result differs from the eager prediction")
    return script


@cache
def _threads(parts: int) -> ThreadPoolExecutor:
    return threads(parts)
