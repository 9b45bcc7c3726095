"""The LoRA files and embeddings that prompts name, looked up for shots; no base model is loaded for it."""

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
    """Return the shots with the LoRA files that their prompts name, and without embeddings; needs no base model.

    Raises:
        UserError: a LoRA is not there.
    """

    def looked_up(shot: Shot) -> Shot:
        others = [use for use in shot.loras if not use.in_prompt]
        return dataclasses.replace(shot, loras=(*others, *shelf.lora_uses(shot.prompt)), embeddings=())

    return [shot.in_all_passes(looked_up) for shot in shots]


def with_embeddings(
    shelf: Shelf, shots: Sequence[Shot], vocabularies: Mapping[str, Vocabulary]
) -> list[Shot]:
    """Return the shots with the embeddings that their prompts name.

    Args:
        vocabularies: of base models, by their hashes; shots of others stay as they are.

    Raises:
        UserError: an embedding that is named is a pickle or cannot be read.
    """
    found = _held(shelf, shots)

    @cache  # many shots share their negative prompt
    def named_in(text: str, model_hash: str) -> set[EmbeddingUse]:
        known = vocabularies[model_hash]
        fitting = [one for one in found if one.fits(known.widths)]
        return {each.use for each in known.embeddings_in(parse.attention(text), fitting)}

    def looked_up(shot: Shot) -> Shot:
        if shot.base_model_hash not in vocabularies:
            return shot
        named = set().union(*(named_in(text, shot.base_model_hash) for text in prompt_texts.texts_of(shot)))
        return dataclasses.replace(shot, embeddings=tuple(sorted(named, key=lambda use: use.name)))

    return [shot.in_all_passes(looked_up) for shot in shots] if found else list(shots)


def _held(shelf: Shelf, shots: Sequence[Shot]) -> list[Embedding]:
    """The embeddings of the shelf that can be read; a broken one matters if it is named."""
    passes = {one for shot in shots for one in shot.passes}
    texts = "\n".join({text for one in passes for text in (one.prompt, one.negative_prompt)})
    shelf.check_embeddings(texts)
    found = []
    for name, path in shelf.embeddings.items():
        try:
            found.append(embeddings.hold(path))
        except UserError:
            if name.casefold() in texts.casefold():
                raise
    return found
