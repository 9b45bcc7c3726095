"""Shots that start from pictures: the second pass of hires, and the rounds of inpainting."""

import dataclasses

from bootstrap import captions
from bootstrap.planning.inputs import Inputs, fitted_box
from bootstrap.prompting import parse
from bootstrap.recipes.recipe_settings import HiresRecipe, InpaintRecipe, InpaintRound
from bootstrap.shots import Mask, Shot, Start


def hires(first: Shot, recipe: HiresRecipe) -> Shot:
    """Return the second pass over a first one: enlarged, sides multiples of 8 pixels, and drawn anew."""
    width, height = enlarged((first.width, first.height), recipe.hires_upscale)
    return dataclasses.replace(
        first,
        width=width,
        height=height,
        steps=recipe.hires_steps or first.steps,
        cfg_scale=recipe.hires_cfg_scale or first.cfg_scale,
        start=Start(recipe.denoising_strength, shot=first),
    )


def enlarged(size: tuple[int, int], upscale: float) -> tuple[int, int]:
    """Return width and height of hires' second pass, in pixels."""
    width, height = (round(side * upscale / 8) * 8 for side in size)
    return width, height


def inpainted(last: Shot, recipe: InpaintRecipe, negative_prompt: str, inputs: Inputs) -> Shot:
    """Return the shot of the last round, which starts from that of the round before, and the first from the original.

    Args:
        last: has what all rounds share, and the strength of those that say no other.
        negative_prompt: the project's, which each round adds to.
        inputs: with the original and the masks.

    Raises:
        UserError: a box lies where the original is cropped away.
    """
    before: Shot | None = None
    for number, one in enumerate(recipe.rounds):
        strength = last.strength if one.strength is None else one.strength
        own = recipe.negative_prompt if one.negative_prompt is None else one.negative_prompt
        negatives = [
            tag for text in (negative_prompt, own) for tag in captions.parse(parse.without_comments(text))
        ]
        before = dataclasses.replace(
            last,
            prompt=captions.join(captions.parse(one.prompt)),
            negative_prompt=captions.join(negatives),
            seed=(last.seed + number) % 2**32,
            loras=(dataclasses.replace(last.loras[0], strength=strength),),
            start=Start(
                denoising_strength=one.denoising_strength or recipe.denoising_strength,
                picture=None if before else inputs.original,
                shot=before,
                mask=_mask(recipe, one, last, inputs),
            ),
        )
    assert before is not None
    return before


def _mask(recipe: InpaintRecipe, one: InpaintRound, shot: Shot, inputs: Inputs) -> Mask:
    where = recipe.mask_of(one)
    blur = recipe.mask_blur if one.mask_blur is None else one.mask_blur
    if isinstance(where, str):
        return Mask(blur, picture=inputs.masks[where], padding=recipe.only_masked_padding)
    box = fitted_box(where, inputs.original_size, (shot.width, shot.height))
    return Mask(blur, box=box, padding=recipe.only_masked_padding)
