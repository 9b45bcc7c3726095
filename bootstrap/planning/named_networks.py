"""Look up the LoRA files and embeddings that the prompts of shots name, without loading a base model."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from bootstrap.errors import UserError
from bootstrap.lora import bundled_embeddings
from bootstrap.models.family import Vocabulary
from bootstrap.models.prompt import Embedding
from bootstrap.planning import prompt_texts
from bootstrap.planning.extra_networks import Shelf, content_hash
from bootstrap.prompting import embeddings, parse
from bootstrap.shots import EmbeddingUse, LoraUse, Shot


def with_loras(shelf: Shelf, shots: Sequence[Shot]) -> list[Shot]:
    """Return the shots with the LoRA files that their prompts name, and without embeddings.

    Raises:
        UserError: a LoRA is missing, or a prompt is beyond the limits of `parse.check`.
    """

    def looked_up(shot: Shot) -> Shot:
        for text in (shot.prompt, shot.negative_prompt):
            try:
                parse.check(text)
            except ValueError as error:
                raise UserError(f"prompt: {error}") from None
        others = [use for use in shot.loras if not use.in_prompt]
        return dataclasses.replace(shot, loras=(*others, *shelf.lora_uses(shot.prompt)), embeddings=())

    return [shot.in_all_passes(looked_up) for shot in shots]


def with_embeddings(
    shelf: Shelf, shots: Sequence[Shot], vocabularies: Mapping[str, Vocabulary]
) -> list[Shot]:
    """Return the shots with the embeddings that their prompts name.

    Args:
        vocabularies: vocabularies of base models, by hash; shots of other base models stay as they are.

    Raises:
        UserError: an embedding that is named is a pickle or cannot be read.
    """
    readable = _readable(shelf, shots)
    uses = {use for shot in shots for each in shot.passes for use in each.loras}
    bundled = {use: _bundled(shelf, use) for use in uses}

    @cache  # many shots share their negative prompt
    def named_in(text: str, model_hash: str, loras: tuple[LoraUse, ...]) -> set[EmbeddingUse]:
        vocabulary = vocabularies[model_hash]
        of_loras = {embedding.name: embedding for use in loras for embedding in bundled[use]}
        others = [embedding for embedding in readable if embedding.name not in of_loras]
        fitting = [each for each in (*of_loras.values(), *others) if each.fits(vocabulary.widths)]
        return {embedding.use for embedding in vocabulary.embeddings_in(parse.attention(text), fitting)}

    def looked_up(shot: Shot) -> Shot:
        if shot.base_model_hash not in vocabularies:
            return shot
        texts = prompt_texts.texts_of(shot)
        named = set().union(*(named_in(text, shot.base_model_hash, shot.loras) for text in texts))
        return dataclasses.replace(shot, embeddings=tuple(sorted(named, key=lambda use: use.name)))

    has_any = readable or any(bundled.values())
    return [shot.in_all_passes(looked_up) for shot in shots] if has_any else list(shots)


def _bundled(shelf: Shelf, use: LoraUse) -> list[Embedding]:
    """Return the embeddings that a LoRA file brings along, for as long as a shot is drawn with it."""
    if use.in_prompt:
        return hold_bundled(shelf.lora(use.name))
    path = shelf.folders[0] / use.source
    return hold_bundled(path) if use.source and use.sha256 and path.is_file() else []


def hold_bundled(path: Path) -> list[Embedding]:
    """Read the embeddings that a LoRA file brings along into memory.

    Raises:
        UserError: the file is damaged, or one of them is malformed.
    """
    made = []
    for name, vectors in bundled_embeddings.in_file(path).items():
        try:
            made.append(embeddings.keep(name, content_hash(path), vectors))
        except ValueError as error:
            raise UserError(f"LoRA {path}: its embedding '{name}': {error}; train it again") from None
    return made


def _readable(shelf: Shelf, shots: Sequence[Shot]) -> list[Embedding]:
    """Return the embeddings of the shelf that can be read; a broken one is an error only if a prompt names it."""
    passes = {drawn_pass for shot in shots for drawn_pass in shot.passes}
    texts = "\n".join({text for each in passes for text in (each.prompt, each.negative_prompt)})
    shelf.check_embeddings(texts)
    readable = []
    for name, path in shelf.embeddings.items():
        try:
            readable.append(embeddings.hold(path))
        except UserError:
            if name.casefold() in texts.casefold():
                raise
    return readable
