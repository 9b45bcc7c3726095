"""Samplers by the names that AUTOMATIC1111's users know, as diffusers schedulers."""

from typing import Any

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)

# Names and settings as in diffusers' table "Schedulers" for A1111 and k-diffusion.
_SAMPLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "Euler a": (EulerAncestralDiscreteScheduler, {}),
    "Euler": (EulerDiscreteScheduler, {}),
    "DPM++ 2M Karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    "DDIM": (DDIMScheduler, {}),
    "UniPC": (UniPCMultistepScheduler, {}),
}


def sampler(name: str, scheduler_config: dict[str, Any]) -> SchedulerMixin:
    """Return a fresh scheduler for one batch.

    Args:
        name: one of bootstrap.settings.SAMPLERS.
        scheduler_config: the base model's own: noise schedule, prediction type, timestep spacing.
    """
    kind, options = _SAMPLERS[name]
    return kind.from_config(scheduler_config, **options)
