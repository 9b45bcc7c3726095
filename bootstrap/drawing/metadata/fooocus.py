"""Fooocus: JSON in PNG's `parameters` beside `fooocus_scheme`, or in EXIF's UserComment; also RuinedFooocus' JSON.

Format: Fooocus, modules/meta_parser.py (FooocusMetadataParser). `full_prompt` is what was encoded, with the texts of
its styles. Its other scheme is infotext, whose LoRAs stand in `Lora weights` only, and whose schedule is `Scheduler`.
"""

import dataclasses
import re
from typing import Any

from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import names

TOOL = "Fooocus"
# The keys of its files, and of its older logs.
_KEYS = {
    "prompt": "Prompt", "negative_prompt": "Negative Prompt", "steps": "Steps", "resolution": "Resolution",
    "guidance_scale": "Guidance Scale", "base_model": "Base Model", "sampler": "Sampler", "scheduler": "Scheduler",
    "seed": "Seed", "sharpness": "Sharpness", "adm_guidance": "ADM Guidance", "refiner_model": "Refiner Model",
    "refiner_switch": "Refiner Switch", "vae": "VAE", "freeu": "FreeU", "adaptive_cfg": "Adaptive CFG",
    "clip_skip": "CLIP Skip", "version": "Version", "styles": "Styles", "performance": "Performance",
    "base_model_hash": "Model hash",
}  # fmt: skip
_OTHERS = {
    "sharpness": "Sharpness", "adm_guidance": "ADM Guidance", "adaptive_cfg": "Adaptive CFG", "freeu": "FreeU",
    "vae": "VAE", "refiner_model": "Refiner", "performance": "Performance", "styles": "Styles",
}  # fmt: skip
_NONE = ("", "None", "none", "[]", "Default (model)")
_MOST_LORAS = 100


def is_of(value: Any) -> bool:
    """Whether a JSON value is Fooocus'."""
    if not isinstance(value, dict):
        return False
    if names.text(value.get("software")) == "RuinedFooocus":
        return True
    return ("prompt" in value or "Prompt" in value) and bool(
        {"base_model", "full_prompt", "guidance_scale", "Guidance Scale", "Base Model", "lora_combined_1"}
        & value.keys()
    )


def parameters(value: dict[str, Any]) -> Infotext:
    """Return what Fooocus' JSON says."""
    if names.text(value.get("software")) == "RuinedFooocus":
        return _of_ruined(value)
    given = {key: value.get(key, value.get(older)) for key, older in _KEYS.items()}
    loras = _loras(value)
    sampler, schedule = names.sampler(names.text(given["sampler"]))
    sides = re.findall(r"\d+", str(given["resolution"] or ""))[:2]
    fields = names.fields_of(
        Steps=names.number(given["steps"]), Sampler=sampler,
        Schedule_type=names.schedule(names.text(given["scheduler"])) or schedule,
        CFG_scale=names.number(given["guidance_scale"]), Seed=names.number(given["seed"]),
        Size="x".join(sides) if len(sides) == 2 else "", Model_hash=names.text(given["base_model_hash"])[:10],
        Model=names.file_title(names.text(given["base_model"])), Clip_skip=names.number(given["clip_skip"]),
        Lora_hashes=names.lora_hashes(loras),
    )  # fmt: skip
    for key, name in _OTHERS.items():
        shown = str(given[key] if given[key] is not None else "").strip()
        if shown not in _NONE:
            fields[name] = shown
    fields["Version"] = names.text(given["version"]) or TOOL
    prompt = _whole(value.get("full_prompt")) or names.text(given["prompt"])
    negative = _whole(value.get("full_negative_prompt")) or names.text(given["negative_prompt"])
    refusals = names.refusals_of_comfyui(names.text(given["scheduler"]))  # whose code it has
    return Infotext(names.with_loras(prompt, loras), negative, fields, TOOL, refusals)


def is_infotext_of(parameters_: Infotext) -> bool:
    """Whether an infotext is Fooocus'."""
    return parameters_.fields.get("Version", "").startswith(TOOL)


def of_infotext(parameters_: Infotext) -> Infotext:
    """Return Fooocus' infotext with LoRAs and noise schedule where A1111 has them."""
    fields = dict(parameters_.fields)
    loras = []
    for part in fields.pop("Lora weights", "").split(",")[:_MOST_LORAS]:
        name, colon, weight = part.strip().rpartition(":")
        if colon and name:
            loras.append(names.Lora(name.strip(), names.strength(weight), names.strength(weight)))
    schedule = fields.pop("Scheduler", "")
    if schedule:
        fields.setdefault("Schedule type", names.schedule(schedule))
    for silent in ("Raw prompt", "Raw negative prompt", "User"):
        fields.pop(silent, None)
    # Its hashes are of whole files, not of their tensors as A1111's.
    fields.pop("Lora hashes", None)
    prompt = names.with_loras(parameters_.prompt, loras)
    return dataclasses.replace(parameters_, prompt=prompt, fields=fields, tool=TOOL)


def _whole(parts: Any) -> str:
    if not isinstance(parts, list):
        return names.text(parts)
    return ", ".join(part for part in parts if isinstance(part, str) and part)


def _loras(value: dict[str, Any]) -> list[names.Lora]:
    """Return the LoRAs of `lora_combined_1` ("name : weight") and so on, or of `loras` ([[name, weight, hash]])."""
    loras = []
    for index in range(1, _MOST_LORAS + 1):
        combined = names.text(value.get(f"lora_combined_{index}", value.get(f"LoRA {index}")))
        parts = combined.split(" : ")
        if len(parts) == 3 and parts[0] != "True":
            continue  # switched off
        if len(parts) >= 2 and parts[-2] not in _NONE:
            weight = names.strength(parts[-1])
            loras.append(names.Lora(names.file_title(parts[-2]), weight, weight))
    if not loras and isinstance(value.get("loras"), list):
        for entry in value["loras"][:_MOST_LORAS]:
            if isinstance(entry, list) and len(entry) >= 2 and names.text(entry[0]) not in _NONE:
                weight = names.strength(entry[1])
                loras.append(names.Lora(names.file_title(entry[0]), weight, weight))
    return loras


def _of_ruined(value: dict[str, Any]) -> Infotext:
    loras = []
    for entry in value["loras"][:_MOST_LORAS] if isinstance(value.get("loras"), list) else []:
        if isinstance(entry, dict) and names.text(entry.get("name")) not in _NONE:
            weight = names.strength(entry.get("weight"))
            loras.append(names.Lora(names.file_title(entry["name"]), weight, weight))
    sampler, schedule = names.sampler(names.text(value.get("sampler_name")))
    fields = names.fields_of(
        Steps=names.number(value.get("steps")), Sampler=sampler,
        Schedule_type=names.schedule(names.text(value.get("scheduler"))) or schedule,
        CFG_scale=names.number(value.get("cfg")), Seed=names.number(value.get("seed")),
        Size=names.size(value.get("width"), value.get("height")),
        Model=names.file_title(names.text(value.get("base_model_name"))), Version="RuinedFooocus",
    )  # fmt: skip
    prompt = names.with_loras(names.text(value.get("Prompt")), loras)
    return Infotext(prompt, names.text(value.get("Negative")), fields, "RuinedFooocus")
