"""What is known of a sampler by its name alone, whichever family of base models it is to draw with."""

import difflib

from bootstrap.errors import UserError
from bootstrap.models.family import Family
from bootstrap.project.settings import LCM_STEPS, SAMPLERS
from bootstrap.shots import Shot


def check(shot: Shot, family: Family) -> None:
    """Refuse a shot that its sampler cannot draw.

    Raises:
        UserError: the sampler is not known, or takes fewer steps, or the base model's family has none such.
    """
    if shot.sampler not in SAMPLERS:
        near = difflib.get_close_matches(shot.sampler, SAMPLERS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SAMPLERS)}"
        raise UserError(f"sampler '{shot.sampler}': it is not known ({hint})")
    if shot.sampler not in family.samplers:
        raise UserError(
            f"sampler {shot.sampler}: {family.title} cannot be drawn with it, but with {', '.join(family.samplers)}"
        )
    if shot.sampler == "LCM" and shot.steps > LCM_STEPS:
        raise UserError(
            f"sampler LCM: it takes {LCM_STEPS} steps at most, better 4 to 8 (steps is {shot.steps})"
        )
