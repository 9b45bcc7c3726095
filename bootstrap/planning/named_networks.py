"""Look up the LoRA files and embeddings that the prompts of shots name, without loading a base model."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache

from bootstrap.errors import UserError
from bootstrap.models.family import Vocabulary
from bootstrap.models.prompt import Embedding
from bootstrap.planning import prompt_texts
from bootstrap.planning.extra_networks import Shelf
from bootstrap.prompting import embeddings, parse
from bootstrap.shots import EmbeddingUse, Shot


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

    @cache  # many shots share their negative prompt
    def named_in(text: str, model_hash: str) -> set[EmbeddingUse]:
        vocabulary = vocabularies[model_hash]
        fitting = [embedding for embedding in readable if embedding.fits(vocabulary.widths)]
        return {embedding.use for embedding in vocabulary.embeddings_in(parse.attention(text), fitting)}

    def looked_up(shot: Shot) -> Shot:
        if shot.base_model_hash not in vocabularies:
            return shot
        named = set().union(*(named_in(text, shot.base_model_hash) for text in prompt_texts.texts_of(shot)))
        return dataclasses.replace(shot, embeddings=tuple(sorted(named, key=lambda use: use.name)))

    return [shot.in_all_passes(looked_up) for shot in shots] if readable else list(shots)


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
