"""Read and write AUTOMATIC1111's infotext: the parameters of a picture as text in its PNG.

Format: stable-diffusion-webui, modules/processing.py `create_infotext` and modules/infotext_utils.py
`parse_generation_parameters`. Beside it we write our own JSON, from which a shot is restored completely.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from bootstrap import images, reading
from bootstrap.drawing import picture_texts
from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.shots import Shot

PARAMETERS_KEY = "parameters"  # A1111's
SHOT_KEY = "sid"  # ours: the shot as JSON
UPSCALER = "Lanczos"  # how the first pass of hires is enlarged

# A1111's names of parameters have at most 40 letters; without a limit the time would grow with the line's square.
_FIELD = re.compile(r'(\w[\w \-/]{1,100}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
LONGEST = 1_000_000  # characters that are read
# Within lines, where several lines are fields.
_FIELD_OF_LINES = re.compile(r'(\w[\w \-/]{1,100}):[ \t]*("(?:\\.|[^\\"])+"|[^,\n]*)(?:,|\n|$)')
# Where A1111's fields begin, whose first two are these, in a text whose line breaks were lost.
_FIRST_FIELDS = re.compile(r"Steps: ?\d+, ?(?:Sampler|Schedule type|CFG scale|Seed|Size)\b")
_LINE_OF_FIELDS = re.compile(r"(?:Steps|Sampler|Schedule type|CFG scale|Seed|Size|Model|Version): ?\S")
_BRACKETS = re.compile(r'"(?:\\.|[^\\"])*"|[\[{]|[\]}]')  # and texts, which may hold some
_NEGATIVE = "Negative prompt:"


@dataclass(frozen=True)
class Infotext:
    """A parsed infotext."""

    prompt: str
    negative_prompt: str
    fields: dict[
        str, str
    ]  # "Steps", "Sampler", "CFG scale", "Seed", "Size", ...; A1111's names, also of other tools
    tool: str = ""  # that it is from, such as "ComfyUI"; empty: A1111, or one that writes as A1111 does
    refusals: tuple[str, ...] = ()  # why the picture cannot be redrawn from this


def write(shot: Shot, model: str, lora_hashes: dict[str, str]) -> str:
    """Return the infotext of a shot.

    Args:
        model: short name of the base model.
        lora_hashes: {LoRA's name: its sshs_model_hash}; the first 12 hex digits are written.
    """
    not_in_prompt = [lora for lora in shot.loras if not lora.in_prompt]
    prompt = shot.prompt + "".join(f" <lora:{lora.name}:{lora.strength:g}>" for lora in not_in_prompt)
    fields = {
        "Steps": str(shot.steps),
        "Sampler": shot.sampler,
        **({"Schedule type": shot.schedule} if shot.schedule else {}),
        "CFG scale": f"{shot.cfg_scale:g}",
        "Seed": str(shot.seed),
        "Size": f"{shot.width}x{shot.height}",
        "Model hash": shot.base_model_hash[:10],
        "Model": model,
        "RNG": "CPU",
    }
    if shot.clip_skip > 1:
        fields["Clip skip"] = str(shot.clip_skip)
    fields |= _start_fields(shot)
    loras = {without_marks(lora.name): lora_hashes[lora.name] for lora in shot.loras}
    embeddings = {without_marks(use.name): use.sha256 for use in shot.embeddings}
    for key, hashes in (("Lora hashes", loras), ("TI hashes", embeddings)):
        if hashes:
            fields[key] = ", ".join(f"{name}: {hash_[:12]}" for name, hash_ in hashes.items())
    fields["Version"] = "sid"
    lines = [prompt]
    if shot.negative_prompt:
        lines.append(f"Negative prompt: {shot.negative_prompt}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in fields.items()))
    return "\n".join(lines)


def _start_fields(shot: Shot) -> dict[str, str]:
    """Return A1111's fields of img2img, inpainting and hires; with hires, Size and Steps are the first pass's."""
    if shot.start is None:
        return {}
    fields = {"Denoising strength": f"{shot.start.denoising_strength:g}"}
    if shot.start.mask is not None:
        fields["Mask blur"] = str(shot.start.mask.blur)
        if shot.start.mask.padding is not None:
            fields |= {"Inpaint area": "Only masked", "Masked area padding": str(shot.start.mask.padding)}
    first = shot.hires
    if first is not None:
        fields |= {
            "Steps": str(first.steps),
            "Size": f"{first.width}x{first.height}",
            "Hires steps": str(shot.steps),
            "Hires upscaler": UPSCALER,
        }
        if shot.cfg_scale != first.cfg_scale:  # Forge's key: AUTOMATIC1111 itself has one scale for both
            fields |= {"CFG scale": f"{first.cfg_scale:g}", "Hires CFG Scale": f"{shot.cfg_scale:g}"}
        if shot.width * first.height == shot.height * first.width:
            fields["Hires upscale"] = f"{shot.width / first.width:g}"
        else:
            fields["Hires resize"] = f"{shot.width}x{shot.height}"
    return fields


def without_marks(name: str) -> str:
    """Return a file's name as it is written in a list of hashes: without ":" and ",", as in A1111."""
    return name.replace(":", "").replace(",", "")


def _quoted(value: str) -> str:
    plain = value == value.strip() and not value.startswith('"') and not any(mark in value for mark in ",\n:")
    return value if plain else json.dumps(value, ensure_ascii=False)


def read(text: str) -> Infotext:
    """Parse an infotext as A1111 does; a text without parameters is all prompt.

    As in A1111, white space around lines is removed, and a line that begins with "Negative prompt:" ends the prompt.
    Beyond A1111, fields are also found on several lines, and in a text whose line breaks were lost.

    Raises:
        UserError: the text has more than a million characters.
    """
    if len(text) > LONGEST:
        raise UserError(f"infotext: it has {len(text):,} characters, {LONGEST:,} at most are read")
    lines = [line.strip() for line in text.strip().split("\n")]
    lines, pairs = _parted(lines)
    prompt: list[str] = []
    negative: list[str] = []
    current = prompt
    for line in lines:
        if line.startswith(_NEGATIVE):
            current, line = negative, line.removeprefix(_NEGATIVE).strip()
        current.append(line)
    fields = {key: _unquoted(value) for key, value in pairs}
    return Infotext("\n".join(prompt).strip(), "\n".join(negative).strip(), fields)


def _parted(lines: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the lines of the prompts, and the fields with their values as they are written."""
    last = lines[-1]
    is_whole = last.startswith("Steps:")
    if not is_whole:
        joined = _FIRST_FIELDS.search(last)
        if joined and not _LINE_OF_FIELDS.match(last):
            return _split_lines(lines[:-1], last[: joined.start()]), _pairs(last[joined.start() :])
        first = _first_line_of_fields(lines)
        if first is not None:
            return lines[:first], _pairs_of_lines(lines[first:])
    pairs = _pairs(last)
    return (lines[:-1], pairs) if len(pairs) >= 3 else (lines, [])


def _split_lines(before: list[str], prompts: str) -> list[str]:
    """Return the lines of the prompts, where the fields followed on the same line."""
    head, marker, negative = prompts.partition(_NEGATIVE)
    if not marker or not head or any(line.startswith(_NEGATIVE) for line in before):
        return [*before, _without_joint(prompts)]
    return [*before, _without_joint(head), f"{marker} {_without_joint(negative)}"]


def _without_joint(text: str) -> str:
    """Return a text without the stop that some sites write instead of a line break."""
    return text.removesuffix(".").strip()


def _first_line_of_fields(lines: list[str]) -> int | None:
    """Return the line from which several lines are fields, such as those of a plug-in behind A1111's own."""
    for index in range(len(lines) - 2, -1, -1):
        if lines[index].startswith("Steps:"):
            rest = lines[index + 1 :]
            are_fields = all(_FIELD.match(line) for line in rest if line)
            return index if are_fields and len(_pairs_of_lines(lines[index:])) >= 3 else None
    return None


def _pairs(line: str) -> list[tuple[str, str]]:
    """Return the fields of a line; a value in brackets, which Civitai does not quote, is taken as a whole."""
    pairs: list[tuple[str, str]] = []
    place, has_open_end = 0, False
    while match := _FIELD.search(line, place):
        key, value, place = match[1], match[2], match.end()
        if value[:1] in ("[", "{") and not has_open_end:
            end = _end_of_brackets(line, match.start(2))
            has_open_end = end == 0  # looking to the end of the line again and again would take long
            if end > match.end(2):
                value, place = line[match.start(2) : end], end
        pairs.append((key, value))
    return pairs


def _end_of_brackets(line: str, begin: int) -> int:
    """Return where JSON that begins with a bracket ends, or 0 if it does not."""
    depth = 0
    for match in _BRACKETS.finditer(line, begin):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return 0


def _pairs_of_lines(lines: list[str]) -> list[tuple[str, str]]:
    """Return the fields of several lines; a plug-in's template is one field, whatever it holds."""
    pairs: list[tuple[str, str]] = []
    fields: list[str] = []
    for line in lines:
        if line.startswith(
            ("Template:", "Negative Template:", "Wildcard prompt:", "Wildcard negative prompt:")
        ):
            key, _, value = line.partition(":")
            pairs.append((key, value))
        else:
            fields.append(line)
    return [*_FIELD_OF_LINES.findall("\n".join(fields)), *pairs]


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        try:
            return str(reading.parse_json(value, "infotext", ""))
        except UserError:
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
    """Return the shot stored in a PNG, None if there is none.

    Raises:
        UserError: the file is no picture, or its shot is damaged or was written by another release.
    """
    with images.opened(path) as picture:
        text = _texts(picture).get(SHOT_KEY)
    return _parsed(path, text)


def candidate_shot(path: Path) -> Shot | None:
    """Return the shot stored in a candidate's file, None if there is none; for rebuilding a catalog.

    Raises:
        UserError: see shot_of; or the shot is not the one that the file's name and size say.
    """
    with images.opened(path) as picture:
        text, size = _texts(picture).get(SHOT_KEY), picture.size
    shot = _parsed(path, text)
    if shot is None:
        return None
    if shot.id != path.stem:
        raise UserError(
            f"picture {path}: it records another shot, {shot.id}; give it that name, or draw it again"
        )
    if size != (shot.width, shot.height):
        raise UserError(
            f"picture {path}: it is {size[0]}x{size[1]}, and its shot {shot.width}x{shot.height}; draw it again"
        )
    return shot


def _parsed(path: Path, text: Any) -> Shot | None:
    if text is None:
        return None
    where = f"picture {path}: its shot cannot be read, another release may have written it"
    return Shot.from_dict(reading.parse_json(str(text), where, "draw it again"), where)


def text_of(path: Path) -> str | None:
    """Return the infotext of a picture, written by sid or another tool; None if there is none.

    Raises:
        UserError: the file is no picture.
    """
    texts = picture_texts.of_file(path).texts
    return texts.get(PARAMETERS_KEY) or texts.get(picture_texts.USER_COMMENT)


def _texts(picture: Image.Image) -> dict[Any, Any]:
    """Return the texts of an opened picture; only a PNG's pixels are decoded, as texts may follow them."""
    if picture.format == "PNG":
        picture.load()
    return picture.info
