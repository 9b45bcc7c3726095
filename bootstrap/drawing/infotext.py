"""AUTOMATIC1111's infotext: the parameters of a picture as text in its PNG, written and read.

Format: stable-diffusion-webui, modules/processing.py `create_infotext` and modules/infotext_utils.py
`parse_generation_parameters`. Beside it stands our own JSON, from which a shot is read back whole.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, PngImagePlugin

from bootstrap.files import whole_file
from bootstrap.shots import Shot

PARAMETERS_KEY = "parameters"  # A1111's
SHOT_KEY = "sid"  # ours: the shot as JSON

_FIELD = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


@dataclass(frozen=True)
class Infotext:
    """An infotext that was read."""

    prompt: str
    negative_prompt: str
    fields: dict[str, str]  # "Steps", "Sampler", "CFG scale", "Seed", "Size", ...


def write(shot: Shot, model: str, lora_hashes: dict[str, str]) -> str:
    """Return the infotext of a shot.

    Args:
        model: short name of the base model.
        lora_hashes: {LoRA's name: its sshs_model_hash}; the first 12 digits are written.
    """
    snapshots = [lora for lora in shot.loras if not lora.sha256]  # the others stand in the prompt
    prompt = shot.prompt + "".join(f" <lora:{lora.name}:{lora.strength:g}>" for lora in snapshots)
    fields = {
        "Steps": str(shot.steps),
        "Sampler": shot.sampler,
        "CFG scale": f"{shot.cfg_scale:g}",
        "Seed": str(shot.seed),
        "Size": f"{shot.width}x{shot.height}",
        "Model hash": shot.base_model_hash[:10],
        "Model": model,
        "RNG": "CPU",
    }
    if shot.clip_skip > 1:
        fields["Clip skip"] = str(shot.clip_skip)
    loras = {_without_marks(lora.name): lora_hashes[lora.name] for lora in shot.loras}
    embeddings = {_without_marks(one.name): one.sha256 for one in shot.embeddings}
    for key, hashes in (("Lora hashes", loras), ("TI hashes", embeddings)):
        if hashes:
            fields[key] = ", ".join(f"{name}: {hash_[:12]}" for name, hash_ in hashes.items())
    fields["Version"] = "sid"
    lines = [prompt]
    if shot.negative_prompt:
        lines.append(f"Negative prompt: {shot.negative_prompt}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in fields.items()))
    return "\n".join(lines)


def _without_marks(name: str) -> str:
    """A file's name as it can stand in a list of hashes: A1111 leaves these two signs out as well."""
    return name.replace(":", "").replace(",", "")


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ",\n:") else value


def read(text: str) -> Infotext:
    """Read an infotext as A1111's parser does; a text without parameters is all prompt."""
    lines = text.strip().split("\n")
    fields: dict[str, str] = {}
    if len(_FIELD.findall(lines[-1])) >= 3:
        for key, value in _FIELD.findall(lines.pop()):
            fields[key] = _unquoted(value)
    prompt: list[str] = []
    negative: list[str] = []
    into = prompt
    for line in lines:
        if line.startswith("Negative prompt:"):
            into, line = negative, line.removeprefix("Negative prompt:").strip()
        into.append(line)
    return Infotext("\n".join(prompt).strip(), "\n".join(negative).strip(), fields)


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except json.JSONDecodeError:
            return value
    return value.strip()


def save_png(picture: Image.Image, path: Path, shot: Shot, infotext: str) -> None:
    """Write a picture as PNG with its infotext and its shot, whole or not at all."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(PARAMETERS_KEY, infotext) if infotext.isascii() else chunks.add_itxt(
        PARAMETERS_KEY, infotext
    )
    chunks.add_text(SHOT_KEY, json.dumps(shot.to_dict(), sort_keys=True))
    with whole_file(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=chunks)


def shot_of(path: Path) -> Shot | None:
    """Return the shot that a PNG of ours carries, None when it carries none."""
    with Image.open(path) as picture:
        text = picture.info.get(SHOT_KEY)
    return Shot.from_dict(json.loads(text)) if text else None
