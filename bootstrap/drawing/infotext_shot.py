"""From infotext to a shot: its numbers pass the range checks of project.toml's settings. Does not import torch."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bootstrap.drawing import infotext_sampler
from bootstrap.drawing.infotext import UPSCALER, Infotext
from bootstrap.drawing.infotext_unused import AS_ALWAYS
from bootstrap.errors import UserError
from bootstrap.project.settings import DrawingSection
from bootstrap.recipes.hires import HiresRecipe, enlarged
from bootstrap.shots import Shot, Start

# Parameters without a counterpart here, such as a prompt or sampler of hires' second pass.
_NOT_REDRAWN = ("Hires ", "Refiner", "Variation seed", "Mask blur")
_HIRES = ("Hires upscale", "Hires resize", "Hires steps", "Hires upscaler", "Hires CFG Scale")
# The setting whose range a field's number has to be in.
_DRAWING = {"Steps": "steps", "CFG scale": "cfg_scale", "Seed": "seed", "Clip skip": "clip_skip"}
_SECOND_PASS = {
    "Hires upscale": "hires_upscale",
    "Hires steps": "hires_steps",
    "Hires CFG Scale": "hires_cfg_scale",
    "Denoising strength": "denoising_strength",
}


def of_infotext(path: Path, parameters: Infotext) -> Shot:
    """Return the shot that an infotext describes, without its LoRAs and embeddings.

    Args:
        path: the picture that has it, for messages.

    Raises:
        UserError: the picture was made with something that sid does not have, a field is missing, or a number is
            outside of the range that settings have.
    """
    fields = parameters.fields
    is_hires = any(key in fields for key in ("Hires upscale", "Hires resize"))
    if "Denoising strength" in fields and not is_hires:
        raise UserError(
            f"picture {path}: it was drawn from another picture, and its infotext does not name it"
        )
    for key in fields:
        if key.startswith(_NOT_REDRAWN) and key not in _HIRES and (key, fields[key]) not in AS_ALWAYS:
            raise UserError(f"picture {path}: it was made with '{key}', which sid does not support")
    if is_hires and fields.get("Hires upscaler", "") != UPSCALER:
        upscaler = fields.get("Hires upscaler", "") or "Latent"
        raise UserError(f"picture {path}: it was enlarged with '{upscaler}', and sid has only {UPSCALER}")
    check_numbers(path, fields)
    try:
        where = f"picture {path}: its infotext"
        sampler, schedule = infotext_sampler.sampler_and_schedule(where, fields, parameters.tool)
        width, height = _size(fields["Size"])
        shot = Shot(
            prompt=parameters.prompt, negative_prompt=parameters.negative_prompt,
            seed=int(fields["Seed"]), steps=int(fields["Steps"]), sampler=sampler, cfg_scale=float(fields["CFG scale"]),
            width=width, height=height, base_model="", base_model_hash="", loras=(),
            clip_skip=int(fields.get("Clip skip", "1")), schedule=schedule,
        )  # fmt: skip
        if is_hires:
            shot = _second_pass(shot, fields)
    except KeyError as error:
        raise UserError(f"picture {path}: its infotext does not have {error}") from None
    except ValueError as error:  # a whole number written as 20.0
        raise UserError(f"picture {path}: its infotext has a value that is not a number ({error})") from None
    return Shot.from_dict(shot.to_dict(), f"picture {path}: its infotext")


def check_numbers(path: Path, fields: Mapping[str, str]) -> None:
    """Refuse numbers of an infotext that no settings could have; fields that are missing are not looked at.

    Raises:
        UserError: one line that names the field and its value.
    """
    numbers: dict[str, Any] = {name: fields[key] for key, name in _DRAWING.items() if key in fields}
    _check(path, DrawingSection, numbers, {name: key for key, name in _DRAWING.items()}, fields)
    second = {name: fields[key] for key, name in _SECOND_PASS.items() if key in fields}
    if second.get("hires_upscale") in ("1", "1.0"):  # a second pass of the same size, which no recipe needs
        del second["hires_upscale"]
    names = {name: key for key, name in _SECOND_PASS.items()}
    _check(path, HiresRecipe, second, names, fields)
    for key in ("Size", "Hires resize"):
        if key in fields:
            sides = fields[key].split("x")
            if len(sides) != 2:
                raise UserError(
                    f"picture {path}: its infotext says {key}: {fields[key]}, which is no size such as 512x512"
                )
            _check(path, DrawingSection, dict(zip(("width", "height"), sides, strict=True)), {}, fields, key)


def _check(
    path: Path,
    section: type[BaseModel],
    numbers: Mapping[str, str],
    keys: Mapping[str, str],
    fields: Mapping[str, str],
    key: str = "",
) -> None:
    """Check texts against the ranges of a section of settings.

    Args:
        keys: the infotext's field by the setting's name.
        key: the field of all numbers instead.
    """
    try:
        section.model_validate(numbers)
    except ValidationError as error:
        problem = error.errors()[0]
        named = key or keys.get(str(problem["loc"][0]) if problem["loc"] else "", "")
        said = f"{named}: {fields[named]}" if named else ", ".join(numbers.values())
        reason = problem["msg"].removeprefix("Value error, ")
        raise UserError(
            f"picture {path}: its infotext says {said}, which sid cannot draw ({reason[:1].lower()}{reason[1:]})"
        ) from None


def _second_pass(first: Shot, fields: Mapping[str, str]) -> Shot:
    """Return the second pass of hires, which starts from the first one."""
    if "Hires resize" in fields:
        size = _size(fields["Hires resize"])
    else:
        size = enlarged((first.width, first.height), float(fields["Hires upscale"]))
    return dataclasses.replace(
        first,
        width=size[0],
        height=size[1],
        steps=int(fields.get("Hires steps", "0")) or first.steps,
        cfg_scale=float(fields.get("Hires CFG Scale", first.cfg_scale)),
        start=Start(float(fields["Denoising strength"]), shot=first),
    )


def _size(text: str) -> tuple[int, int]:
    """Return the numbers of a size that check_numbers has let through."""
    width, _, height = text.partition("x")
    return int(width), int(height)
