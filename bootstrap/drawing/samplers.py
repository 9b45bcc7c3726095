"""Check a shot's sampler before any drawing."""

import difflib

from bootstrap.errors import UserError
from bootstrap.models.family import Family
from bootstrap.project.settings import LCM_STEPS, SAMPLERS
from bootstrap.shots import Shot


def check(shot: Shot, family: Family) -> None:
    """Refuse a shot that its sampler cannot draw.

    Raises:
        UserError: the sampler is unknown, takes fewer steps, or is not one of the base model's family.
    """
    if shot.sampler not in SAMPLERS:
        near = difflib.get_close_matches(shot.sampler, SAMPLERS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(SAMPLERS)}"
        raise UserError(f"sampler '{shot.sampler}': unknown ({hint})")
    if shot.sampler not in family.samplers:
        raise UserError(
            f"sampler {shot.sampler}: it does not draw {family.title}; use one of {', '.join(family.samplers)}"
        )
    if shot.sampler == "LCM" and shot.steps > LCM_STEPS:
        raise UserError(
            f"sampler LCM: it takes {LCM_STEPS} steps at most, ideally 4 to 8 (steps is {shot.steps})"
        )
