"""The drawing engine: shots in groups that share one merge and fill a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from bootstrap import conditioning
from bootstrap.base_model import BaseModel
from bootstrap.drawing import prompts
from bootstrap.drawing.samplers import own_noise, sampler
from bootstrap.lora.kohya import LoraFile
from bootstrap.lora.merge import merged
from bootstrap.shots import LoraUse, Shot


@dataclass(frozen=True)
class Drawing:
    """A shot and its picture."""

    shot: Shot
    picture: Image.Image


def _group(shot: Shot) -> tuple[object, ...]:
    return (
        shot.loras, shot.embeddings, shot.width, shot.height, shot.sampler, shot.steps, shot.cfg_scale, shot.clip_skip
    )  # fmt: skip


def in_drawing_order(shots: Sequence[Shot]) -> list[Shot]:
    """Return the shots with those of a group side by side, groups in the order of their first shot."""
    groups: dict[tuple[object, ...], list[Shot]] = {}
    for shot in shots:
        groups.setdefault(_group(shot), []).append(shot)
    return [shot for group in groups.values() for shot in group]


def draw(
    base: BaseModel, shots: Sequence[Shot], loras: dict[LoraUse, LoraFile], batch_size: int
) -> Iterator[list[Drawing]]:
    """Draw shots, a batch at a time.

    A picture depends on its shot alone: its noise comes from its own seed, whatever batch it is in.

    Args:
        base: the base model that all shots name; without any LoRA. Its weights are as before when the
            iterator has ended or is closed.
        shots: in any order; they are drawn in that of in_drawing_order.
        loras: the file of each LoRA that a shot uses.
        batch_size: pictures at once.

    Yields:
        The drawings of each batch.

    Raises:
        UserError: a LoRA does not fit the base model.
    """
    ordered = in_drawing_order(shots)
    start = 0
    while start < len(ordered):
        group = _group(ordered[start])
        end = start
        while end < len(ordered) and _group(ordered[end]) == group:
            end += 1
        with merged(base, [(loras[use], use.strengths) for use in ordered[start].loras]):
            for batch in _batches(base, ordered[start:end], batch_size):
                yield [Drawing(*pair) for pair in zip(batch, _draw_batch(base, batch), strict=True)]
        start = end


def _batches(base: BaseModel, group: Sequence[Shot], batch_size: int) -> Iterator[list[Shot]]:
    """Batches of shots whose prompts have the same number of chunks, with negative prompts or without.

    A shorter prompt beside a longer one would be filled up with empty chunks, which gives another picture.
    """
    by_chunks: dict[tuple[int, bool], list[Shot]] = {}
    for shot in group:
        kind = prompts.chunk_count(base, shot), prompts.is_guided([shot])
        by_chunks.setdefault(kind, []).append(shot)
    for shots in by_chunks.values():
        for first in range(0, len(shots), batch_size):
            yield shots[first : first + batch_size]


@torch.inference_mode()
def _draw_batch(base: BaseModel, shots: Sequence[Shot]) -> list[Image.Image]:
    first = shots[0]
    scheduler = sampler(first.sampler, base.scheduler_config)
    scheduler.set_timesteps(first.steps, device=base.device)
    generators = [torch.Generator().manual_seed(shot.seed) for shot in shots]
    latents = _noise(base, shots, generators) * scheduler.init_noise_sigma
    asked = prompts.Prompts(base, shots)
    noise = own_noise(scheduler, latents, generators)
    for step, timestep in enumerate(scheduler.timesteps):
        rows = scheduler.scale_model_input(asked.rows_of(latents), timestep)
        predicted = asked.combined(conditioning.predict(base, rows, timestep, asked.at(step)))
        latents = scheduler.step(predicted, timestep, latents, return_dict=False, **noise)[0]
    return decode(base, latents)


def _noise(base: BaseModel, shots: Sequence[Shot], generators: list[torch.Generator]) -> torch.Tensor:
    shape = (
        base.unet.config["in_channels"],
        shots[0].height // base.vae_factor,
        shots[0].width // base.vae_factor,
    )
    # Always from the CPU's generator: a seed means the same picture on every machine.
    return torch.stack([torch.randn(shape, generator=one) for one in generators]).to(base.device)


@torch.inference_mode()
def decode(base: BaseModel, latents: torch.Tensor) -> list[Image.Image]:
    """Decode latents (batch, channels, height, width) with the VAE into RGB pictures."""
    scaled = (latents / base.vae.config["scaling_factor"]).to(base.vae.dtype)
    pixels = base.vae.decode(scaled, return_dict=False)[0].float()
    bytes_ = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(one) for one in bytes_]
