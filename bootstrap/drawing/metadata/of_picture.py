"""What a picture file says about how it was drawn, whichever tool has written it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bootstrap import images, reading
from bootstrap.drawing import hidden_text, infotext, picture_texts
from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import (
    comfyui,
    comfyui_graph,
    draw_things,
    easy_diffusion,
    fooocus,
    invokeai,
    names,
    novelai,
    swarmui,
)
from bootstrap.drawing.picture_texts import PictureTexts
from bootstrap.errors import UserError

HIDDEN = "hidden text"
_REMEDY = "`sid show` prints it as it is"


@dataclass(frozen=True)
class Found:
    """What was found in a picture."""

    parameters: Infotext | None  # None: nothing that could be read
    texts: dict[str, str] = field(default_factory=dict)  # all texts as they are, by their place
    problems: tuple[str, ...] = ()  # why a text of a known tool could not be read

    @property
    def is_nothing(self) -> bool:
        """Whether the picture says nothing at all, or only which camera it is from."""
        return self.parameters is None and not self.texts

    def why_not(self) -> str:
        """Why the picture cannot be redrawn from its texts, if there are no parameters."""
        if self.is_nothing:
            return "it has no shot of sid and no text of another tool, so nobody knows how it was drawn"
        places = ", ".join(list(self.texts)[:6])
        return (
            self.problems[0]
            if self.problems
            else f"its texts ({places}) are of no form that sid reads; {_REMEDY}"
        )


def read(path: Path) -> Found:
    """Return what a picture says, written by sid or by another tool, in its texts or hidden in its pixels.

    Raises:
        UserError: the file is no picture.
    """
    with images.opened(path) as picture:
        found = picture_texts.of_picture(picture)
        parameters, problems = _parameters(found)
        texts = dict(found.described)
        if parameters is None and (hidden := hidden_text.of_picture(picture)).strip("\0 \n"):
            texts[HIDDEN] = hidden
            parameters, more = _parameters(PictureTexts(_hidden_texts(hidden), found.size))
            problems = (*problems, *more)
    return Found(parameters, texts, problems)


def _hidden_texts(text: str) -> dict[str, str]:
    """Return hidden text as the PNG's texts that it stands for: infotext, or JSON of several texts."""
    if text.lstrip().startswith("{"):
        try:
            value = reading.parse_json(text, HIDDEN, _REMEDY, of_tools=True)
        except UserError:
            return {infotext.PARAMETERS_KEY: text}
        texts = {key: part for key, part in value.items() if isinstance(part, str)}
        if "Comment" in texts or infotext.PARAMETERS_KEY in texts:
            return texts
    return {infotext.PARAMETERS_KEY: text}


def _parameters(found: PictureTexts) -> tuple[Infotext | None, tuple[str, ...]]:
    """Return the parameters of the first form that can be read, and why others could not."""
    problems: list[str] = []
    for attempt in _attempts(found):
        try:
            parameters = attempt()
        except UserError as error:
            problems.append(str(error))
            continue
        if parameters is not None:
            return parameters, tuple(problems)
    return None, tuple(problems)


def _attempts(found: PictureTexts) -> Iterator[Callable[[], Infotext | None]]:
    """Yield the ways to read a picture's texts, in the order in which they are tried."""
    texts = found.texts
    plain = [place for place in texts if place != picture_texts.XMP and not _is_json(texts[place])]
    for place in plain:
        yield partial(_of_infotext, texts[place])
    # The tools that have a keyword of their own.
    if "invokeai_metadata" in texts:
        yield lambda: invokeai.parameters(_object(texts, "invokeai_metadata"))
    if "sd-metadata" in texts:
        yield lambda: invokeai.of_version_2(_object(texts, "sd-metadata"))
    for place in ("Dream", "dream"):
        if place in texts:
            yield partial(invokeai.of_command_line, texts[place])
    if novelai.is_of(texts):
        yield lambda: novelai.parameters(texts, found.size)
    if easy_diffusion.is_of(texts):
        yield lambda: easy_diffusion.parameters(texts)
    # JSON of any tool, wherever it stands; ComfyUI's `workflow` last, because `prompt` is what was drawn.
    for place in sorted(texts, key=lambda place: place == "workflow"):
        if _is_json(texts[place]):
            yield partial(_of_json, found, place)
    if infotext.PARAMETERS_KEY in plain:  # a prompt without parameters
        yield lambda: infotext.read(texts[infotext.PARAMETERS_KEY])


def _is_json(text: str) -> bool:
    """Whether a text is a JSON object by its looks; infotext may begin with a brace, too, but ends in its fields."""
    return text.lstrip().startswith("{") and text.rstrip("\0 \r\n\t").endswith("}")


def _of_infotext(text: str) -> Infotext | None:
    parameters = infotext.read(text)
    if not {"Steps", "Sampler", "Seed", "CFG scale", "Size"} & parameters.fields.keys():
        return None
    return fooocus.of_infotext(parameters) if fooocus.is_infotext_of(parameters) else parameters


def _of_json(found: PictureTexts, place: str) -> Infotext | None:
    return _of_object(_object(found.texts, place), found.size)


def _of_object(value: dict[str, Any], size: tuple[int, int]) -> Infotext | None:
    """Return the parameters of a JSON object; None: it is of no known tool."""
    if swarmui.is_of(value):
        return swarmui.parameters(value)
    if easy_diffusion.is_of(value):
        return easy_diffusion.parameters(value)
    if fooocus.is_of(value):
        return fooocus.parameters(value)
    if draw_things.is_of(value):
        return draw_things.parameters(value)
    # A picture's whole texts in one object: {"prompt": graph, "workflow": ...}, some of them as JSON in a text.
    for inner in (value.get("prompt"), value, value.get("workflow")):
        if isinstance(inner, str) and inner.lstrip().startswith("{"):
            inner = reading.parse_json(inner, "its ComfyUI graph", _REMEDY, of_tools=True)
        graph = comfyui_graph.of_prompt(inner) or comfyui_graph.of_workflow(inner)
        if graph and (parameters := comfyui.parameters(graph, size)):
            return parameters
    return None


def _object(texts: dict[str, str], place: str) -> dict[str, Any]:
    where = f"its text '{names.file_title(place)[:60]}'"
    if len(texts[place]) > reading.MOST_BYTES:
        raise UserError(f"{where}: it has more than {reading.MOST_BYTES:,} characters; {_REMEDY}")
    value = reading.parse_json(texts[place], where, _REMEDY, of_tools=True)
    return reading.shaped(dict[str, Any], value, where, _REMEDY)
