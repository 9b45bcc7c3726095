"""Other tools' names of samplers, noise schedules, models and LoRAs, in A1111's words.

Sources: ComfyUI, comfy/samplers.py (SAMPLER_NAMES, SCHEDULER_NAMES); AUTOMATIC1111, modules/sd_samplers_kdiffusion.py
and modules/sd_schedulers.py; InvokeAI, backend/stable_diffusion/schedulers.py; NovelAI's and Easy Diffusion's names are
those of k-diffusion with `k_` or shortened.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_SAMPLERS = {
    "euler": "Euler", "euler_ancestral": "Euler a", "euler_cfg_pp": "Euler CFG++", "heun": "Heun", "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a", "lms": "LMS", "dpm_fast": "DPM fast", "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_ancestral": "DPM++ 2S a", "dpmpp_2s": "DPM++ 2S", "dpmpp_sde": "DPM++ SDE", "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE", "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun", "dpmpp_3m_sde": "DPM++ 3M SDE",
    "ddim": "DDIM", "uni_pc": "UniPC", "lcm": "LCM", "ddpm": "DDPM", "restart": "Restart", "plms": "PLMS",
    "pndm": "PNDM", "tcd": "TCD", "deis": "DEIS",
}  # fmt: skip
_SAME_SAMPLERS = {
    "euler_a": "euler_ancestral", "kdpm_2": "dpm_2", "kdpm_2_a": "dpm_2_ancestral", "dpm2": "dpm_2",
    "dpm2_a": "dpm_2_ancestral", "dpm_2_a": "dpm_2_ancestral", "dpmpp_2s_a": "dpmpp_2s_ancestral",
    "dpmpp_2": "dpmpp_2m", "unipc": "uni_pc", "unipc_snr": "uni_pc", "ddim_v3": "ddim",
}  # fmt: skip
_SCHEDULES = {
    "normal": "Normal", "karras": "Karras", "exponential": "Exponential", "polyexponential": "Polyexponential",
    "sgm_uniform": "SGM Uniform", "simple": "Simple", "ddim_uniform": "DDIM uniform", "beta": "Beta",
    "kl_optimal": "KL Optimal", "align_your_steps": "Align Your Steps", "turbo": "Turbo",
    "linear_quadratic": "Linear Quadratic", "automatic": "Automatic", "native": "",
}  # fmt: skip
_ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".sft", ".gguf")


@dataclass(frozen=True)
class Lora:
    """A LoRA that a tool has applied."""

    name: str  # of its file, without folder and ending
    unet: float
    text_encoder: float
    hash: str = ""  # kohya's sshs_model_hash, if the tool has written it

    @property
    def in_prompt(self) -> str:
        """A1111's spelling in a prompt; of two strengths the text encoder's comes first."""
        both = f"{self.unet:g}"
        return f"<lora:{self.name}:{both if self.text_encoder == self.unet else f'{self.text_encoder:g}:{both}'}>"


def sampler(name: str) -> tuple[str, str]:
    """Return A1111's name of a sampler, and of the noise schedule that the name has with it or an empty one.

    A name that is not known stays as it is.
    """
    key = name.strip().lower().removesuffix("_gpu").removeprefix("sample_")
    schedule = ""
    for ending in ("_karras", "_k"):
        if key.endswith(ending) and _known(key.removesuffix(ending)):
            key, schedule = key.removesuffix(ending), "Karras"
    found = _known(key) or _known(key.removeprefix("k_"))
    return (found, schedule) if found else (name.strip(), "")


def _known(key: str) -> str:
    return _SAMPLERS.get(_SAME_SAMPLERS.get(key, key), "")


def schedule(name: str) -> str:
    """Return A1111's name of a noise schedule; a name that is not known stays as it is."""
    return _SCHEDULES.get(name.strip().lower(), name.strip())


def refusals_of_comfyui(schedule_name: str) -> tuple[str, ...]:
    """Return why pictures that ComfyUI draws cannot be redrawn, of a noise schedule by its name there."""
    if schedule_name.strip().lower() != "beta":
        return ()
    return (
        "its noise schedule is ComfyUI's beta, which takes other timesteps than A1111's Beta, and sid has only that",
    )


def file_title(path: str) -> str:
    """Return the name of a model's or LoRA's file without folder and ending, of either system's paths."""
    name = path.strip().replace("\\", "/").rsplit("/", 1)[-1]
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def with_loras(prompt: str, loras: Iterable[Lora]) -> str:
    """Return a prompt that names these LoRAs, as A1111 does; those that it names already stay as they are."""
    missing = [lora.in_prompt for lora in loras if f"<lora:{lora.name}:" not in prompt]
    return " ".join([prompt, *missing]) if prompt else " ".join(missing)


def lora_hashes(loras: Iterable[Lora]) -> str:
    """Return A1111's list of hashes, of the LoRAs that have one."""
    return ", ".join(f"{lora.name}: {lora.hash[:12]}" for lora in loras if lora.hash)


def number(value: Any) -> str:
    """Return a number as infotext has it; empty if it is none. Other tools write numbers as texts, too."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else str(value)


def strength(value: Any, default: float = 1.0) -> float:
    """Return a strength; the default if it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def text(value: Any) -> str:
    """Return a text; empty if it is none."""
    return value if isinstance(value, str) else ""


def fields_of(**values: str) -> dict[str, str]:
    """Return A1111's fields: the keywords with blanks instead of underscores, without those that are empty."""
    return {key.replace("_", " "): value for key, value in values.items() if value}


def size(width: Any, height: Any) -> str:
    """Return a size as infotext has it; empty if a side is missing."""
    sides = number(width), number(height)
    return "x".join(sides) if all(sides) else ""
