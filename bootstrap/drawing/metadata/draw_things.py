"""Draw Things: JSON in XMP's exif:UserComment, with `c` for the prompt and `uc` for the negative one.

Format: as its files have it (Draw Things writes A1111's samplers, and strength 1 for a picture from noise).
"""

from typing import Any

from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import names

TOOL = "Draw Things"


def is_of(value: Any) -> bool:
    """Whether a JSON value is Draw Things'."""
    return isinstance(value, dict) and "c" in value and {"sampler", "scale", "v2"} & value.keys() != set()


def parameters(value: dict[str, Any]) -> Infotext:
    """Return what Draw Things' JSON says."""
    loras = []
    for entry in value["lora"] if isinstance(value.get("lora"), list) else []:
        if isinstance(entry, dict):
            name = names.text(entry.get("model")) or names.text(entry.get("file"))
            weight = names.strength(entry.get("weight"))
            loras.append(names.Lora(names.file_title(name), weight, weight))
    sampler, schedule = names.sampler(names.text(value.get("sampler")))
    fields = names.fields_of(
        Steps=names.number(value.get("steps")), Sampler=sampler, Schedule_type=schedule,
        CFG_scale=names.number(value.get("scale")), Seed=names.number(value.get("seed")),
        Size=names.number(value.get("size")), Model=names.file_title(names.text(value.get("model"))), Version=TOOL,
    )  # fmt: skip
    if names.strength(value.get("strength")) < 1:
        fields["Denoising strength"] = names.number(value["strength"])
    refusals = ("it was made with a ControlNet, which sid does not support",) if value.get("controls") else ()
    prompt = names.with_loras(names.text(value.get("c")), loras)
    return Infotext(prompt, names.text(value.get("uc")), fields, TOOL, refusals)
