"""Easy Diffusion: a PNG text for each setting, or all of them as JSON in EXIF's UserComment.

Format: sdkit, utils/image_utils.py and Easy Diffusion's two styles of names: of its user interface and of its code.
"""

from collections.abc import Mapping
from typing import Any

from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import names

TOOL = "Easy Diffusion"
_NAMES = {
    "prompt": "Prompt", "negative_prompt": "Negative Prompt", "seed": "Seed", "sampler_name": "Sampler",
    "use_stable_diffusion_model": "Stable Diffusion model", "clip_skip": "Clip Skip", "width": "Width",
    "height": "Height", "num_inference_steps": "Steps", "guidance_scale": "Guidance Scale",
    "use_lora_model": "LoRA model", "lora_alpha": "LoRA Strength", "use_vae_model": "VAE model",
    "prompt_strength": "Prompt Strength", "use_hypernetwork_model": "Hypernetwork model", "tiling": "Seamless Tiling",
    "use_controlnet_model": "ControlNet model", "use_face_correction": "Use Face Correction",
    "use_upscale": "Use Upscaling",
}  # fmt: skip
_REFUSED = ("use_hypernetwork_model", "tiling", "use_controlnet_model", "use_face_correction", "use_upscale")
_NONE = ("", "None", "none", "False", "null", "[]")


def is_of(value: Mapping[str, Any]) -> bool:
    """Whether PNG's texts, or a JSON object, are Easy Diffusion's."""
    return any(
        {prompt, steps} <= value.keys()
        for prompt, steps in (("prompt", "num_inference_steps"), ("Prompt", "Guidance Scale"))
    )


def parameters(value: Mapping[str, Any]) -> Infotext:
    """Return what Easy Diffusion's settings say."""
    given = {key: value.get(key, value.get(shown)) for key, shown in _NAMES.items()}
    paths, strengths = _list(given["use_lora_model"]), _list(given["lora_alpha"])
    loras = []
    for index, path in enumerate(paths):
        weight = names.strength(strengths[index] if index < len(strengths) else 1)
        loras.append(names.Lora(names.file_title(path), weight, weight))
    sampler, schedule = names.sampler(names.text(given["sampler_name"]))
    fields = names.fields_of(
        Steps=names.number(given["num_inference_steps"]), Sampler=sampler, Schedule_type=schedule,
        CFG_scale=names.number(given["guidance_scale"]), Seed=names.number(given["seed"]),
        Size=names.size(given["width"], given["height"]),
        Model=names.file_title(names.text(given["use_stable_diffusion_model"])),
        Clip_skip="2" if str(given["clip_skip"]) in ("True", "true") else "",
        VAE=names.file_title(_unless_none(given["use_vae_model"])),
        Denoising_strength=names.number(given["prompt_strength"]), Version=TOOL,
    )  # fmt: skip
    refusals = tuple(
        f"it was made with {_NAMES[key]} ({shown[:60]}), which sid does not support"
        for key in _REFUSED
        if (shown := _unless_none(given[key]))
    )
    prompt = names.with_loras(names.text(given["prompt"]), loras)
    return Infotext(prompt, names.text(given["negative_prompt"]), fields, TOOL, refusals)


def _unless_none(value: Any) -> str:
    shown = "" if value is None else str(value).strip()
    return "" if shown in _NONE else shown


def _list(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else [value]
    return [shown for part in parts if (shown := _unless_none(part))]
