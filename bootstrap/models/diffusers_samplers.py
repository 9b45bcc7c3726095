"""diffusers' schedulers as samplers, under AUTOMATIC1111's names, for models with a discrete noise process (DDPM).

They draw what discrete_sampling.py asks of them: UniPC, DDIM, zero terminal SNR, and shots that were made before
schedules were a setting, whose samplers' names include the schedule.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSDEScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)
from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

_KARRAS, _LINEAR = {"use_karras_sigmas": True}, {"use_karras_sigmas": False}
_ODE, _SDE = {"algorithm_type": "dpmsolver++"}, {"algorithm_type": "sde-dpmsolver++"}

_STEEPEST = 4.0  # at most this ratio of the noise levels before and after Heun's first step
# Names and settings as in diffusers' table "Schedulers" for A1111 and k-diffusion; "DPM++ SDE" is the class that
# follows k-diffusion's own `sample_dpmpp_sde`, with its two predictions a step and its Brownian noise.
_SAMPLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "Euler a": (EulerAncestralDiscreteScheduler, {}),
    "Euler": (EulerDiscreteScheduler, _LINEAR),
    "Heun": (HeunDiscreteScheduler, _LINEAR),
    "DPM++ 2M": (DPMSolverMultistepScheduler, _LINEAR | _ODE),
    "DPM++ 2M Karras": (DPMSolverMultistepScheduler, _KARRAS | _ODE),
    "DPM++ 2M SDE": (DPMSolverMultistepScheduler, _LINEAR | _SDE),
    "DPM++ 2M SDE Karras": (DPMSolverMultistepScheduler, _KARRAS | _SDE),
    "DPM++ SDE": (DPMSolverSDEScheduler, _LINEAR),
    "DPM++ SDE Karras": (DPMSolverSDEScheduler, _KARRAS),
    "DDIM": (DDIMScheduler, {}),
    "UniPC": (UniPCMultistepScheduler, _LINEAR),
    "LCM": (LCMScheduler, {}),
}


def scheduler_of(name: str, scheduler_config: dict[str, Any]) -> SchedulerMixin:
    """Return a new scheduler for one batch.

    Args:
        name: one of bootstrap.models.family.SAMPLERS, or such a name with " Karras".
        scheduler_config: of the base model: noise schedule, prediction type, timestep spacing.
    """
    kind, options = _SAMPLERS[name]
    accepted = inspect.signature(kind.__init__).parameters
    if scheduler_config.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in accepted:
        options = options | {"trained_betas": _zero_snr_betas(scheduler_config)}
    known = {key: value for key, value in scheduler_config.items() if key in accepted}
    return kind.from_config(known, **options)


def _zero_snr_betas(scheduler_config: dict[str, Any]) -> list[float]:
    """Return the noise schedule with zero terminal SNR, for schedulers without an option for it.

    The last step's sigma stays finite, as in schedulers with the option.
    """
    alphas_cumprod: torch.Tensor = EulerDiscreteScheduler.from_config(
        scheduler_config
    ).alphas_cumprod.double()
    previous = torch.cat([torch.ones(1, dtype=alphas_cumprod.dtype), alphas_cumprod[:-1]])
    return (1 - alphas_cumprod / previous).tolist()


def set_steps(scheduler: SchedulerMixin, steps: int, device: torch.device) -> None:
    """Set a scheduler's timesteps, and limit the noise level of Heun's first step.

    With zero terminal SNR, sampling starts at a noise level of 4096 standard deviations. Heun's correction of that step
    multiplies the difference of its two predictions by half the ratio of the two noise levels, several hundred.
    _STEEPEST times the second level hides the picture just as well.
    """
    scheduler.set_timesteps(steps, device=device)
    if isinstance(scheduler, HeunDiscreteScheduler) and len(scheduler.sigmas) > 2:
        scheduler.sigmas[0] = min(scheduler.sigmas[0], _STEEPEST * scheduler.sigmas[1])


def own_noise(
    scheduler: SchedulerMixin, latents: torch.Tensor, generators: Sequence[torch.Generator]
) -> dict[str, Any]:
    """Let each picture's noise come from its own generator; return the keyword arguments for the scheduler's steps.

    Call it after `set_timesteps`.

    Args:
        latents: (batch, channels, height, width), for shape and device.
        generators: one per picture, seeded with its seed.
    """
    if isinstance(scheduler, DPMSolverSDEScheduler):
        sigmas = scheduler.sigmas[scheduler.sigmas > 0]
        brownian = BrownianTreeNoiseSampler(
            torch.zeros(latents.shape),  # on the CPU: a seed gives the same picture on every machine
            sigmas.min().item()
            * 0.9999,  # a margin, because the library compares rounded values with the ends
            sigmas.max().item() * 1.0001,
            [generator.initial_seed() for generator in generators],
        )
        scheduler.noise_sampler = lambda start, end: brownian(start.cpu(), end.cpu()).to(latents.device)
        return {}
    takes_generator = "generator" in inspect.signature(scheduler.step).parameters
    return {"generator": list(generators)} if takes_generator else {}


def _set_sigmas(scheduler: UniPCMultistepScheduler, sigmas: Sequence[float], device: torch.device) -> None:
    """Give UniPC another schedule. It divides by the last sigma's logarithm, so that is 0.001, as in ComfyUI."""
    log_sigmas = (((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod) ** 0.5).log().numpy()
    timesteps = np.interp(np.log(sigmas[:-1]), log_sigmas, np.arange(len(log_sigmas)))
    scheduler.sigmas = torch.tensor([*sigmas[:-1], 0.001])
    scheduler.timesteps = torch.from_numpy(timesteps).to(device, torch.float32)
    scheduler.set_begin_index(0)  # it would look the first timestep up among whole numbers


def step_sigmas(scheduler: SchedulerMixin, steps: int) -> list[float]:
    """Return the sigma before each step, and the last one's."""
    set_steps(scheduler, steps, torch.device("cpu"))
    if hasattr(scheduler, "sigmas"):
        # Second-order samplers list the sigmas of both predictions of a step.
        return [*scheduler.sigmas[:-1][:: scheduler.order].tolist(), float(scheduler.sigmas[-1])]
    alphas = [
        *scheduler.alphas_cumprod[scheduler.timesteps.long()].tolist(),
        float(scheduler.final_alpha_cumprod),
    ]
    # Without any signal left, sigma would be infinite; that of the samplers above is then 4096.
    return [((1 - alpha) / max(alpha, 2**-24)) ** 0.5 for alpha in alphas]


class ScheduledSampling:
    """Sampling of one batch with one of diffusers' schedulers; see bootstrap.models.family.Sampling."""

    def __init__(
        self,
        scheduler: SchedulerMixin,
        steps: int,
        last: int | None,
        noise: torch.Tensor,
        generators: Sequence[torch.Generator],
        sigmas: Sequence[float] | None = None,
    ) -> None:
        """Set the timesteps.

        Sampling that starts from a picture takes the last steps of a longer schedule. Source: stable-diffusion-webui,
        modules/sd_samplers_common.py, `setup_img2img_steps`, as it works for hires, and for all of img2img with the
        option "do exactly the amount of steps the slider specifies".

        Args:
            scheduler: a new one.
            steps: of the whole schedule.
            last: the number of steps to take, from a picture; None: all, from noise.
            noise: (rows, channels, height, width), the initial noise.
            generators: of each row.
            sigmas: of the whole schedule, with a last 0, instead of the scheduler's own; only for UniPC.
        """
        self._scheduler, self._noise, self._generators = scheduler, noise, generators
        self._own: dict[str, Any] = {}
        set_steps(scheduler, steps, noise.device)
        if sigmas is not None:
            _set_sigmas(scheduler, sigmas, noise.device)
        self.timesteps: torch.Tensor = scheduler.timesteps
        # Second-order samplers predict twice per step, except in the last one.
        skipped = 0 if last is None else len(scheduler.timesteps) - (scheduler.order * (last - 1) + 1)
        if hasattr(scheduler, "set_begin_index"):
            # Also from noise: otherwise the scheduler looks its first timestep up among all, and takes the second of
            # two that are equal. With zero terminal SNR, Karras' first steps round to equal timesteps.
            scheduler.set_begin_index(skipped)
        self.timesteps = scheduler.timesteps[skipped:]

    def begin(self, origin: torch.Tensor | None) -> torch.Tensor:
        """See Sampling."""
        latents: torch.Tensor = (
            self._noise * self._scheduler.init_noise_sigma if origin is None else self.noised(origin, 0)
        )
        self._own = own_noise(self._scheduler, latents, self._generators)
        return latents

    def model_input(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """See Sampling."""
        scaled: torch.Tensor = self._scheduler.scale_model_input(latents, timestep)
        return scaled

    def step(self, predicted: torch.Tensor, timestep: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """See Sampling."""
        stepped: torch.Tensor = self._scheduler.step(
            predicted, timestep, latents, return_dict=False, **self._own
        )[0]
        return stepped

    def noised(self, origin: torch.Tensor, step: int) -> torch.Tensor:
        """See Sampling."""
        if step == len(self.timesteps):
            return origin
        timesteps = self.timesteps[step : step + 1].expand(len(origin))
        noisy: torch.Tensor = self._scheduler.add_noise(origin, self._noise, timesteps)
        return noisy
