"""One batch of shots: from noise, or from pictures, to pictures."""

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
"""RGB pictures that shots start from, and their masks: files by their SHA-256, pictures of shots by the shot's id."""


_Region = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True)
class _Begun:
    """What one picture starts from."""

    picture: Image.Image  # RGB, of the shot's size: all of it, or the region enlarged
    mask: Image.Image | None = None  # L, 255 where it is drawn anew
    whole: Image.Image | None = None  # with a mask: the picture that what is drawn is put into ...
    soft: Image.Image | None = None  # ... by this mask, L, blurred
    region: _Region | None = None  # that alone is drawn


@denormals.as_zero()
@torch.inference_mode()
def draw_batch(
    base: BaseModel, shots: Sequence[Shot], asked: Prompts, pictures: Pictures
) -> list[Image.Image]:
    """Draw shots that share everything but seed, prompts, and the pictures that they start from.

    Args:
        base: with the shots' LoRAs merged in.
        shots: whose prompts have the same lengths.
        asked: their prompts.
        pictures: those that the shots start from.
    """
    first = shots[0]
    generators = [torch.Generator().manual_seed(shot.seed) for shot in shots]
    noise = _noise(base, shots, generators)
    steps, last = first.steps, None
    if first.start is not None:
        steps, last = whole_schedule(first.steps, first.start.denoising_strength), first.steps
    sampling = base.family.sampling(base, first.sampler, steps, last, noise, generators)
    begun = [_begun(shot, pictures) for shot in shots] if first.start else []
    origin = to_latents(base, [each.picture for each in begun]) if begun else None
    latents = sampling.begin(origin)
    anew = _anew(base, begun)
    for step, timestep in enumerate(sampling.timesteps):
        predicted = asked.predicted(sampling.model_input(latents, timestep), timestep, step)
        latents = sampling.step(predicted, timestep, latents)
        if anew is not None and origin is not None:
            # Around the mask it is the picture, as noisy as it has to be at the next step.
            latents = torch.where(anew, latents, sampling.noised(origin, step + 1))
    drawn = codec.to_pictures(base, latents)
    return [_pasted(one, picture) for one, picture in zip(begun, drawn, strict=True)] if begun else drawn


def whole_schedule(steps: int, denoising_strength: float) -> int:
    """Return how many steps a schedule has whose last `steps` begin at a noise of `denoising_strength`."""
    return max(steps, int(steps / min(denoising_strength, 0.999)))


def _noise(base: BaseModel, shots: Sequence[Shot], generators: list[torch.Generator]) -> torch.Tensor:
    shape = codec.shape(base, shots[0].width, shots[0].height)
    # Always from the CPU's generator: a seed means the same picture on every machine.
    return torch.stack([torch.randn(shape, generator=one) for one in generators]).to(base.device)


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
    enlarged = [one.crop(region).resize(one.size, Image.Resampling.LANCZOS) for one in (picture, mask)]
    return _Begun(enlarged[0], _black_and_white(enlarged[1]), picture, soft, region)


def masked_region(mask: Image.Image, padding: int) -> _Region:
    """Return what of a picture is drawn alone: all that a mask touches and so many pixels around it.

    It has the picture's proportions, as nearly as whole pixels have them, and lies within it.

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
    """The mask at the shot's size: nothing but 0 and 255."""
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


def _anew(base: BaseModel, begun: Sequence[_Begun]) -> torch.Tensor | None:
    """Which latents are drawn anew (batch, 1, height, width): all that a mask touches; None: every one is."""
    masks = [one.mask for one in begun if one.mask is not None]
    if not masks:
        return None
    whites = torch.stack([to_tensor(mask.convert("RGB"))[:1] for mask in masks])
    return (F.max_pool2d(whites, base.latent_factor) > 0).to(base.device)


def _pasted(begun: _Begun, drawn: Image.Image) -> Image.Image:
    """What was drawn, inside of the mask alone; around it the pixels stay what they were."""
    if begun.whole is None or begun.soft is None:
        return drawn
    if begun.region is not None:
        left, top, right, bottom = begun.region
        laid = begun.whole.copy()
        laid.paste(drawn.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
        drawn = laid
    return Image.composite(drawn, begun.whole, begun.soft)
