"""The LoRA files and embeddings that prompts name, looked up for shots, and checked before any work."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from bootstrap import base_model
from bootstrap.base_model import BaseModel
from bootstrap.base_model_spec import BaseModelSpec
from bootstrap.drawing import prompts
from bootstrap.errors import UserError
from bootstrap.extra_networks import Shelf
from bootstrap.lora import formats
from bootstrap.lora.kohya import LoraFile
from bootstrap.lora.merge import merged
from bootstrap.prompting import embeddings
from bootstrap.prompting.chunks import chunks_of
from bootstrap.prompting.embeddings import Embedding
from bootstrap.shots import EmbeddingUse, LoraUse, Shot


def with_networks(base: BaseModel, shelf: Shelf, shots: Sequence[Shot]) -> list[Shot]:
    """Return the shots with the LoRA files and the embeddings that their prompts name, which are part of their ids.

    Snapshots that a shot has stay, and come first.

    Raises:
        UserError: a LoRA is not there, or a file that is named cannot be read.
    """
    known = _fitting(base, shelf, shots)

    @cache  # many shots share their negative prompt
    def named_in(text: str) -> set[EmbeddingUse]:
        chunks = chunks_of(base.tokenizer, text, known)
        return {embedding.use for chunk in chunks for _, embedding in chunk.embeddings}

    def with_embeddings(shot: Shot) -> Shot:
        named = set().union(*map(named_in, prompts.texts_of(shot)))
        return dataclasses.replace(shot, embeddings=tuple(sorted(named, key=lambda use: use.name)))

    found = with_loras(shelf, shots)
    return [_in_all_passes(shot, with_embeddings) for shot in found] if known else found


def with_loras(shelf: Shelf, shots: Sequence[Shot]) -> list[Shot]:
    """Return the shots with the LoRA files that their prompts name, and without embeddings; needs no base model.

    Raises:
        UserError: a LoRA is not there.
    """

    def looked_up(shot: Shot) -> Shot:
        snapshots = [use for use in shot.loras if not use.sha256]
        return dataclasses.replace(shot, loras=(*snapshots, *shelf.lora_uses(shot.prompt)), embeddings=())

    return [_in_all_passes(shot, looked_up) for shot in shots]


def _in_all_passes(shot: Shot, change: Callable[[Shot], Shot]) -> Shot:
    """The shot changed, and those that it starts from."""
    if shot.start and shot.start.shot:
        before = _in_all_passes(shot.start.shot, change)
        shot = dataclasses.replace(shot, start=dataclasses.replace(shot.start, shot=before))
    return change(shot)


def _fitting(base: BaseModel, shelf: Shelf, shots: Sequence[Shot]) -> list[Embedding]:
    """The embeddings of the shelf that were made for models such as this one; a broken one matters if it is named."""
    passes = {one for shot in shots for one in shot.passes}
    texts = "\n".join({text for one in passes for text in (one.prompt, one.negative_prompt)})
    shelf.check_embeddings(texts)
    found = []
    for name, path in shelf.embeddings.items():
        try:
            embedding = embeddings.hold(path)
        except UserError:
            if name.casefold() in texts.casefold():
                raise
            continue
        if embedding.fits(base):
            found.append(embedding)
    return found


def open_files(shelf: Shelf, shots: Sequence[Shot]) -> dict[LoraUse, LoraFile]:
    """Read the LoRA files that the prompts of shots name."""
    uses = {use for shot in shots for use in shot.loras if use.sha256}
    return {use: open_lora(shelf.lora(use.name)) for use in uses}


def open_lora(path: Path) -> LoraFile:
    """Read a LoRA file of any format; one that does not say its name is called by its file's in messages.

    Raises:
        UserError: it cannot be read.
    """
    file = formats.read(path)
    return LoraFile(file.modules, {"ss_output_name": path.stem, **file.metadata})


def check(spec: BaseModelSpec, shelf: Shelf, prompts_and_negatives: Sequence[tuple[str, str]]) -> None:
    """Look up and read all that the prompts name, and see that it fits the base model.

    Raises:
        UserError: one line that names what is wrong.
    """
    for prompt, _ in prompts_and_negatives:
        shelf.lora_uses(prompt)  # a wrong name is told without waiting for the base model
    shelf.check_embeddings("\n".join(text for pair in prompts_and_negatives for text in pair))
    base = base_model.hold(spec)
    shots = [
        Shot(prompt, negative, 0, 1, "Euler", 7.0, 64, 64, "", "", ())
        for prompt, negative in prompts_and_negatives
    ]
    paths = {shelf.lora(use.name) for shot in with_networks(base, shelf, shots) for use in shot.loras}
    for path in sorted(paths):
        merged(base, [(open_lora(path), 1.0)])
