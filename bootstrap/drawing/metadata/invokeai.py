"""InvokeAI: JSON in PNG's `invokeai_metadata`, in `sd-metadata` of version 2, or a command line in `Dream` before that.

Format: InvokeAI, app/invocations/metadata.py (CoreMetadataInvocation); of version 2, docs of ldm/invoke/metadata.py and
the options of ldm/invoke/args.py. Until version 3 the negative prompt stands in square brackets within the prompt.
"""

import re
from typing import Any

from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import names

TOOL = "InvokeAI"
# What changes the picture and has no counterpart here, in `invokeai_metadata`.
_REFUSED = {
    "controlnets": "ControlNets", "ipAdapters": "IP-Adapters", "t2iAdapters": "T2I-Adapters",
    "refiner_model": "a refiner", "seamless_x": "seamless tiling", "seamless_y": "seamless tiling",
    "hrf_enabled": "its high resolution fix", "cfg_rescale_multiplier": "a rescaled CFG",
    "control_layers": "control layers", "regional_prompts": "regional prompts", "ref_images": "reference images",
}  # fmt: skip
_REFUSED_OLD = {
    "threshold": "a threshold", "perlin": "Perlin noise", "seamless": "seamless tiling", "hires_fix": "hires_fix",
    "variations": "variations of a seed", "postprocessing": "postprocessing",
}  # fmt: skip
_OPTION = re.compile(r"\s(--?[A-Za-z_]+)[ =]?([^\s-]\S*|-[\d.]\S*)?")
_OF_OPTION = {
    "-s": "Steps", "--steps": "Steps", "-S": "Seed", "--seed": "Seed", "-C": "CFG scale", "--cfg_scale": "CFG scale",
}  # fmt: skip
_REFUSED_OPTIONS = {
    "-I": "an initial picture", "--init_img": "an initial picture", "-M": "a mask", "-G": "face restoration",
    "-U": "upscaling", "-v": "variations of a seed", "-V": "variations of a seed", "--seamless": "seamless tiling",
    "--hires_fix": "hires_fix", "-ft": "face restoration", "--threshold": "a threshold", "--perlin": "Perlin noise",
}  # fmt: skip


def parameters(value: dict[str, Any]) -> Infotext:
    """Return what `invokeai_metadata` says."""
    loras = [lora for entry in _list(value.get("loras")) if (lora := _lora(entry))]
    sampler, schedule = names.sampler(names.text(value.get("scheduler")))
    skipped = value.get("clip_skip")
    fields = names.fields_of(
        Steps=names.number(value.get("steps")), Sampler=sampler, Schedule_type=schedule,
        CFG_scale=names.number(value.get("cfg_scale")), Seed=names.number(value.get("seed")),
        Size=names.size(value.get("width"), value.get("height")), Model=names.file_title(_name(value.get("model"))),
        Clip_skip=str(skipped + 1) if isinstance(skipped, int) and 0 < skipped < 100 else "",
        VAE=_name(value.get("vae")), RNG="CPU" if value.get("rand_device") == "cpu" else "",
    )  # fmt: skip
    if value.get("init_image") or "img2img" in names.text(value.get("generation_mode")):
        fields["Denoising strength"] = names.number(value.get("strength")) or "unknown"
    fields["Version"] = f"{TOOL} {names.text(value.get('app_version'))}".strip()
    refusals = _refusals(value, _REFUSED)
    for ours, style in (
        ("positive_prompt", "positive_style_prompt"),
        ("negative_prompt", "negative_style_prompt"),
    ):
        apart = names.text(value.get(style))
        if apart and apart != names.text(value.get(ours)):
            refusals.append(f"it was drawn with a style prompt of its own ('{apart[:60]}')")
    prompt = names.with_loras(names.text(value.get("positive_prompt")), loras)
    return Infotext(prompt, names.text(value.get("negative_prompt")), fields, TOOL, tuple(refusals))


def of_version_2(value: dict[str, Any]) -> Infotext:
    """Return what `sd-metadata` says."""
    image = value["image"] if isinstance(value.get("image"), dict) else {}
    refusals = _refusals(image, _REFUSED_OLD)
    written = image.get("prompt")
    if isinstance(written, list):
        if len(written) > 1:
            refusals.append("it was drawn with several weighted prompts")
        written = " ".join(names.text(part.get("prompt")) for part in written if isinstance(part, dict))
    prompt, negative = _without_negative(names.text(written))
    sampler, schedule = names.sampler(names.text(image.get("sampler")))
    fields = names.fields_of(
        Steps=names.number(image.get("steps")), Sampler=sampler, Schedule_type=schedule,
        CFG_scale=names.number(image.get("cfg_scale")), Seed=names.number(image.get("seed")),
        Size=names.size(image.get("width"), image.get("height")), Model=names.text(value.get("model_weights")),
    )  # fmt: skip
    if names.text(image.get("type")) not in ("", "txt2img"):
        fields["Denoising strength"] = names.number(image.get("strength")) or "unknown"
    fields["Version"] = f"{TOOL} {names.text(value.get('app_version'))}".strip()
    return Infotext(prompt, negative, fields, TOOL, tuple(refusals))


def of_command_line(line: str) -> Infotext:
    """Return what `Dream` says: `"a prompt [negative prompt]" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms`."""
    quoted, mark, options = line.strip().rpartition('" -')
    written = quoted.removeprefix('"') if mark else line.strip().strip('"')
    prompt, negative = _without_negative(written)
    fields, sides, refusals = {}, {}, []
    for option, value in _OPTION.findall(f" -{options}") if mark else []:
        if option in _OF_OPTION:
            fields[_OF_OPTION[option]] = value
        elif option in ("-W", "-H", "--width", "--height"):
            sides[option.strip("-")[0].upper()] = value
        elif option in ("-A", "--sampler"):
            fields["Sampler"], schedule = names.sampler(value)
            fields |= {"Schedule type": schedule} if schedule else {}
        elif option in _REFUSED_OPTIONS:
            refusals.append(f"it was made with {_REFUSED_OPTIONS[option]}, which sid does not support")
    if len(sides) == 2:
        fields["Size"] = f"{sides['W']}x{sides['H']}"
    fields["Version"] = TOOL
    return Infotext(prompt, negative, fields, TOOL, tuple(refusals))


def _without_negative(prompt: str) -> tuple[str, str]:
    """Return a prompt and its parts in square brackets, which are its negative prompt; escaped ones stay."""
    negative = re.findall(r"(?<!\\)\[([^\[\]]*)(?<!\\)\]", prompt)
    if not negative:
        return prompt.strip(), ""
    return re.sub(r"\s*(?<!\\)\[[^\[\]]*(?<!\\)\]", "", prompt).strip(), ", ".join(negative)


def _refusals(value: dict[str, Any], names_: dict[str, str]) -> list[str]:
    used = [shown for key, shown in names_.items() if value.get(key) and value[key] != "none"]
    return [f"it was made with {shown}, which sid does not support" for shown in dict.fromkeys(used)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _lora(entry: Any) -> names.Lora | None:
    """Return a LoRA of any of version 3's and 4's shapes."""
    if not isinstance(entry, dict):
        return None
    name = names.file_title(_name(entry.get("model")) or _name(entry.get("lora")) or _name(entry))
    weight = names.strength(entry.get("weight"), 0.75)  # its default
    return names.Lora(name, weight, weight) if name else None


def _name(model: Any) -> str:
    if not isinstance(model, dict):
        return names.text(model)
    return names.text(model.get("name")) or names.text(model.get("model_name"))
