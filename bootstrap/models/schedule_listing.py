"""The noise levels of every sampler with every schedule, on a base model that is not loaded."""

from typing import NamedTuple

from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.models import specs
from bootstrap.models.families.sd1 import SD1
from bootstrap.models.family import LCM_STEPS, BaseModelSpec, Family, Files


class Listed(NamedTuple):
    """A sampler's steps with a schedule."""

    sampler: str
    schedule: str
    sigmas: list[float]  # before each step, and after the last one


def of(base: str | None, steps: int) -> list[Listed]:
    """Return the noise levels of each sampler that the base model's family supports, with each schedule.

    LCM is left out beyond the steps that it takes.

    Args:
        base: as in project.toml; None: Stable Diffusion 1.5.
        steps: from 1.

    Raises:
        UserError: there is no such base model, or it is not on this machine.
    """
    if base is None:
        family: Family = SD1
        spec = BaseModelSpec(family.title, "folder", "")
        files: Files = family.shipped
    else:
        spec = specs.find(base)
        known, files = specs.family(spec), specs.files(spec)
        if known is None:
            download = command("run", "NAME")
            raise UserError(
                f"base model {base}: it is not on this machine; a first `{download}` downloads it"
            )
        family = known
    return [
        Listed(sampler, schedule, family.step_sigmas(spec, files, sampler, schedule, steps))
        for sampler in family.samplers
        if sampler != "LCM" or steps <= LCM_STEPS
        for schedule in family.schedules
    ]
