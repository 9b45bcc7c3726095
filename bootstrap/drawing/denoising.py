"""Draw one batch of shots, from noise or from pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter

from bootstrap import images
from bootstrap.drawing.prompts import Prompts
from bootstrap.models import denormals
from bootstrap.models import latents as codec
from bootstrap.models.family import BaseModel
from bootstrap.models.latents import to_latents, to_tensor
from bootstrap.shots import Mask, Shot

Pictures = Mapping[str, Image.Image]
"""RGB pictures that shots start from, and their masks. The key of a file is its SHA-256, that of a drawn picture the id
of its shot."""


_Region = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True)
class _Begun:
    """What one picture starts from."""

    picture: Image.Image  # RGB, of the shot's size: all of it, or the region enlarged
    mask: Image.Image | None = None  # L, 255 where the picture is redrawn
    whole: Image.Image | None = None  # with a mask: the result is pasted into this picture ...
    soft: Image.Image | None = None  # ... through this mask, L, blurred
    region: _Region | None = None  # only this part is drawn; None: the whole picture


@denormals.as_zero()
@torch.inference_mode()
def draw_batch(
    base: BaseModel, shots: Sequence[Shot], prompts: Prompts, pictures: Pictures
) -> list[Image.Image]:
    """Draw shots that differ only in seed, prompts and the pictures that they start from.

    Args:
        base: the base model with the shots' LoRAs merged in.
        shots: shots whose prompts have the same lengths.
        prompts: their prompts.
        pictures: the pictures that the shots start from.
    """
    first = shots[0]
    generators = [torch.Generator().manual_seed(shot.seed) for shot in shots]
    noise = _noise(base, shots, generators)
    steps, last = first.steps, None
    if first.start is not None:
        steps, last = whole_schedule(first.steps, first.start.denoising_strength), first.steps
    sampling = base.family.sampling(base, first.sampler, first.schedule, steps, last, noise, generators)
    begun = [_begun(shot, pictures) for shot in shots] if first.start else []
    origin = to_latents(base, [begin.picture for begin in begun]) if begun else None
    latents = sampling.begin(origin)
    redrawn = _redrawn_latents(base, begun)
    for step, timestep in enumerate(sampling.timesteps):
        predicted = prompts.predicted(sampling.model_input(latents, timestep), timestep, step)
        latents = sampling.step(predicted, timestep, latents)
        if redrawn is not None and origin is not None:
            # Outside the mask the latents are the picture's, with the noise of the next step.
            latents = torch.where(redrawn, latents, sampling.noised(origin, step + 1))
    drawn = codec.to_pictures(base, latents)
    return [_pasted(begin, picture) for begin, picture in zip(begun, drawn, strict=True)] if begun else drawn


def whole_schedule(steps: int, denoising_strength: float) -> int:
    """Return the length of a schedule whose last `steps` steps start at the noise of `denoising_strength`."""
    return max(steps, int(steps / min(denoising_strength, 0.999)))


def _noise(base: BaseModel, shots: Sequence[Shot], generators: list[torch.Generator]) -> torch.Tensor:
    shape = codec.shape(base, shots[0].width, shots[0].height)
    # Always from the CPU's generator, so that a seed gives the same picture on every machine.
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators]).to(base.device)


def _begun(shot: Shot, pictures: Pictures) -> _Begun:
    start = shot.start
    assert start is not None
    key = start.shot.id if start.shot else start.picture.sha256 if start.picture else ""
    picture = images.fit(pictures[key], shot.width, shot.height)
    if start.mask is None:
        return _Begun(picture)
    mask = _mask(start.mask, shot, pictures)
    soft = mask.filter(ImageFilter.GaussianBlur(start.mask.blur)) if start.mask.blur else mask
    if start.mask.padding is None:
        return _Begun(picture, mask, picture, soft)
    region = masked_region(soft, start.mask.padding)
    enlarged = [image.crop(region).resize(image.size, Image.Resampling.LANCZOS) for image in (picture, mask)]
    return _Begun(enlarged[0], _black_and_white(enlarged[1]), picture, soft, region)


def masked_region(mask: Image.Image, padding: int) -> _Region:
    """Return the region of a picture that is drawn alone: the mask and `padding` pixels around it.

    The region lies within the picture and has its proportions, to the nearest pixel.

    Source: stable-diffusion-webui, modules/masking.py, `get_crop_region` and `expand_crop_region`.
    """
    left, top, right, bottom = mask.getbbox() or (0, 0, *mask.size)
    wide, high = mask.size
    left, top = max(0, left - padding), max(0, top - padding)
    right, bottom = min(wide, right + padding), min(high, bottom + padding)
    across = max(right - left, round((bottom - top) * wide / high))
    down = max(bottom - top, round((right - left) * high / wide))
    left = min(max(0, left - (across - (right - left)) // 2), wide - across)
    top = min(max(0, top - (down - (bottom - top)) // 2), high - down)
    return left, top, left + across, top + down


def _mask(mask: Mask, shot: Shot, pictures: Pictures) -> Image.Image:
    """Return the mask at the shot's size; its values are 0 and 255."""
    if mask.picture is not None:
        return _black_and_white(
            images.fit(pictures[mask.picture.sha256], shot.width, shot.height).convert("L")
        )
    drawn = Image.new("L", (shot.width, shot.height))
    assert mask.box is not None
    left, top, right, bottom = mask.box
    ImageDraw.Draw(drawn).rectangle((left, top, right - 1, bottom - 1), fill=255)
    return drawn


def _black_and_white(mask: Image.Image) -> Image.Image:
    return mask.point(lambda value: 255 if value >= 128 else 0)


def _redrawn_latents(base: BaseModel, begun: Sequence[_Begun]) -> torch.Tensor | None:
    """Return the latents to redraw, which are all that a mask touches; None: all of them.

    Returns:
        bool (batch, 1, height, width).
    """
    masks = [begin.mask for begin in begun if begin.mask is not None]
    if not masks:
        return None
    whites = torch.stack([to_tensor(mask.convert("RGB"))[:1] for mask in masks])
    return (F.max_pool2d(whites, base.latent_factor) > 0).to(base.device)


def _pasted(begun: _Begun, drawn: Image.Image) -> Image.Image:
    """Return the picture with the drawn pixels inside the mask and the original ones outside."""
    if begun.whole is None or begun.soft is None:
        return drawn
    if begun.region is not None:
        left, top, right, bottom = begun.region
        pasted = begun.whole.copy()
        pasted.paste(drawn.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
        drawn = pasted
    return Image.composite(drawn, begun.whole, begun.soft)
