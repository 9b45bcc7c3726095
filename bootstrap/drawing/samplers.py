"""Check a shot's sampler and schedule before any drawing."""

import difflib

from bootstrap.errors import UserError
from bootstrap.models.family import LCM_STEPS, SAMPLERS, SCHEDULES, Family, sampler_and_schedule
from bootstrap.shots import Shot


def check(shot: Shot, family: Family) -> None:
    """Refuse a shot that its sampler cannot draw.

    Raises:
        UserError: the sampler or the schedule is unknown or not one of the base model's family, or the sampler takes
            fewer steps.
    """
    check_known(shot)
    if shot.schedule and shot.schedule not in family.schedules:
        raise UserError(
            f"schedule {shot.schedule}: {family.title} does not have it; use one of {', '.join(family.schedules)}"
        )
    if _sampler(shot) not in family.samplers:
        raise UserError(
            f"sampler {shot.sampler}: it does not draw {family.title}; use one of {', '.join(family.samplers)}"
        )


def check_known(shot: Shot) -> None:
    """Refuse a shot whose sampler or schedule no family has, or whose sampler takes fewer steps.

    Raises:
        UserError: see above.
    """
    _check_known("sampler", _sampler(shot), SAMPLERS)
    if shot.schedule:
        _check_known("schedule", shot.schedule, SCHEDULES)
    if shot.sampler == "LCM" and shot.steps > LCM_STEPS:
        raise UserError(
            f"sampler LCM: it takes {LCM_STEPS} steps at most, ideally 4 to 8 (steps is {shot.steps})"
        )


def _sampler(shot: Shot) -> str:
    """Return a shot's sampler; a shot without a schedule is older, and its sampler's name may include one."""
    return shot.sampler if shot.schedule else sampler_and_schedule(shot.sampler)[0]


def _check_known(what: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(names)}"
        raise UserError(f"{what} '{name}': unknown ({hint})")
