"""NovelAI: PNG's `Description` and JSON in `Comment`, or both as JSON hidden in the pixels.

Format: github.com/NovelAI/novelai-image-metadata, and files of its versions 1 to 4.5. Its models are not published, so
such a picture can be read, and drawn again only with another base model.
"""

from typing import Any

from bootstrap import reading
from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import names

TOOL = "NovelAI"


def is_of(texts: dict[str, str]) -> bool:
    """Whether PNG's texts, or a hidden JSON's, are NovelAI's."""
    comment = texts.get("Comment", "").lstrip()
    return comment.startswith("{") and (TOOL in texts.get("Software", "") or '"uc"' in comment)


def parameters(texts: dict[str, str], size: tuple[int, int]) -> Infotext:
    """Return what NovelAI's texts say.

    Args:
        size: of the picture; files of its first version do not name it.

    Raises:
        UserError: `Comment` is no JSON object.
    """
    remedy = "`sid show` prints it as it is"
    parsed = reading.parse_json(texts["Comment"], "its Comment of NovelAI", remedy, of_tools=True)
    value = reading.shaped(dict[str, Any], parsed, "its Comment of NovelAI", remedy)
    sampler, schedule = names.sampler(names.text(value.get("sampler")))
    refusals = []
    if value.get("sm") or value.get("sm_dyn"):
        refusals.append("it was drawn with NovelAI's SMEA, which sid does not support")
    captions, negatives = (
        _of_characters(value.get("v4_prompt")),
        _of_characters(value.get("v4_negative_prompt")),
    )
    if captions or negatives:
        refusals.append("its characters have prompts of their own, which sid does not support")
    fields = names.fields_of(
        Steps=names.number(value.get("steps")), Sampler=sampler,
        Schedule_type=names.schedule(names.text(value.get("noise_schedule"))) or schedule,
        CFG_scale=names.number(value.get("scale")), Seed=names.number(value.get("seed")),
        Size=names.size(value.get("width", size[0]), value.get("height", size[1])), Model=texts.get("Source", ""),
        CFG_Rescale=names.number(value.get("cfg_rescale") or None),
    )  # fmt: skip
    request = names.text(value.get("request_type"))
    if "Img2Img" in request or "Infill" in request:  # pictures from noise have a strength, too
        fields["Denoising strength"] = names.number(value.get("strength")) or "unknown"
    fields["Version"] = texts.get("Software") or TOOL
    prompt = names.text(value.get("prompt")) or _base_caption(value.get("v4_prompt"))
    negative = names.text(value.get("uc")) or _base_caption(value.get("v4_negative_prompt"))
    prompt = prompt or texts.get("Description", "")
    return Infotext(
        " | ".join([prompt, *captions]), " | ".join([negative, *negatives]), fields, TOOL, tuple(refusals)
    )


def _caption(prompt: Any) -> dict[str, Any]:
    caption = prompt.get("caption") if isinstance(prompt, dict) else None
    return caption if isinstance(caption, dict) else {}


def _base_caption(prompt: Any) -> str:
    return names.text(_caption(prompt).get("base_caption"))


def _of_characters(prompt: Any) -> list[str]:
    characters = _caption(prompt).get("char_captions")
    found = characters if isinstance(characters, list) else []
    return [text for one in found if isinstance(one, dict) and (text := names.text(one.get("char_caption")))]
