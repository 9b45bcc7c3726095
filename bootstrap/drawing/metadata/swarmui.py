"""SwarmUI: JSON with `sui_image_params`, as PNG's `parameters` or as EXIF's UserComment.

Format: SwarmUI, docs/Image Metadata Format.md. Numbers may be texts, and lists texts with commas. The hashes of
`sui_models` are of a file's tensors, which is what kohya calls sshs_model_hash.
"""

from typing import Any

from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import names

TOOL = "SwarmUI"
_READ = {
    "prompt", "negativeprompt", "model", "seed", "steps", "cfgscale", "width", "height", "sampler", "scheduler",
    "loras", "loraweights", "loratencweights", "clipstopatlayer", "initimagecreativity", "swarm_version",
}  # fmt: skip
# They change nothing about the picture.
_SILENT = {
    "aspectratio", "automaticvae", "nopreviews", "imageformat", "images", "date", "generation_time", "original_prompt",
    "wildcardseed", "used_wildcards", "batchsize", "personalnote", "donotsave", "resolution", "sidelength",
    "colordepth", "savesegmentmask", "internalbackendtype", "modelspecificenhancements", "showmodelinfo",
}  # fmt: skip


def is_of(value: Any) -> bool:
    """Whether a JSON value is SwarmUI's."""
    return isinstance(value, dict) and isinstance(value.get("sui_image_params"), dict)


def parameters(value: Any) -> Infotext:
    """Return what SwarmUI's JSON says."""
    given = value["sui_image_params"]
    hashes = _hashes(value.get("sui_models"))
    unet, encoder = _list(given.get("loraweights")), _list(given.get("loratencweights"))
    loras = []
    for index, path in enumerate(_list(given.get("loras"))):
        weight = names.strength(unet[index] if index < len(unet) else 1)
        encoders = names.strength(encoder[index] if index < len(encoder) else weight, weight)
        name = names.file_title(str(path))
        loras.append(names.Lora(name, weight, encoders, hashes.get(name, "")))
    sampler, schedule = names.sampler(names.text(given.get("sampler")))
    fields = names.fields_of(
        Steps=names.number(given.get("steps")), Sampler=sampler,
        Schedule_type=names.schedule(names.text(given.get("scheduler"))) or schedule,
        CFG_scale=names.number(given.get("cfgscale")), Seed=names.number(given.get("seed")),
        Size=names.size(given.get("width"), given.get("height")),
        Model=names.file_title(names.text(given.get("model"))),
        Clip_skip=_clip_skip(given.get("clipstopatlayer")),
        Denoising_strength=names.number(given.get("initimagecreativity")), RNG="CPU",
        Lora_hashes=names.lora_hashes(loras),
    )  # fmt: skip
    for key, other in given.items():
        if key not in _READ and key not in _SILENT and (shown := _shown(other)):
            fields.setdefault(key, shown)
    fields["Version"] = f"{TOOL} {names.text(given.get('swarm_version'))}".strip()
    prompt = names.with_loras(names.text(given.get("prompt")), loras)
    refusals = names.refusals_of_comfyui(names.text(given.get("scheduler")))  # which draws for it
    return Infotext(prompt, names.text(given.get("negativeprompt")), fields, TOOL, refusals)


def _clip_skip(layer: Any) -> str:
    """Return A1111's clip skip of a layer, counted from the end: -2 is 2."""
    return names.number(layer).removeprefix("-")


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value if isinstance(value, list) else []


def _hashes(models: Any) -> dict[str, str]:
    found = {}
    for model in models if isinstance(models, list) else []:
        if isinstance(model, dict) and "lora" in names.text(model.get("param")):
            hash_ = names.text(model.get("hash")).removeprefix("0x")
            found[names.file_title(names.text(model.get("name")))] = hash_
    return found


def _shown(value: Any) -> str:
    """Return another parameter's value; empty if it is switched off."""
    if isinstance(value, bool):
        return "true" if value else ""
    return names.number(value) if isinstance(value, str | int | float) else ""
