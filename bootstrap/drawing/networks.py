"""The LoRA files and embeddings that prompts name, looked up for shots, and checked before any work."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from bootstrap.drawing import prompts
from bootstrap.errors import UserError
from bootstrap.lora import formats
from bootstrap.lora.kohya import LoraFile
from bootstrap.lora.merge import merged
from bootstrap.models import loading, specs
from bootstrap.models.family import BaseModel, BaseModelSpec, Vocabulary
from bootstrap.models.prompt import Embedding
from bootstrap.planning.extra_networks import Shelf
from bootstrap.prompting import embeddings, parse
from bootstrap.shots import EmbeddingUse, LoraUse, Shot


def with_networks(base: BaseModel, shelf: Shelf, shots: Sequence[Shot]) -> list[Shot]:
    """Return the shots with the LoRA files and the embeddings that their prompts name, which are part of their ids.

    Snapshots and files that a shot has beside its prompt stay, and come first.

    Args:
        base: the base model of most of the shots; those of others are found by their names.

    Raises:
        UserError: a LoRA is not there, or a file that is named cannot be read.
    """
    others = {shot.base_model_hash: shot.base_model for shot in shots if shot.base_model_hash != base.hash}
    known = {base.hash: _vocabulary(base.spec)}
    known |= {model_hash: _vocabulary(specs.find(name)) for model_hash, name in others.items()}
    return with_embeddings(shelf, with_loras(shelf, shots), known)


def _vocabulary(spec: BaseModelSpec) -> Vocabulary:
    known = specs.vocabulary(spec)
    if known is None:  # a hub model that was not fetched yet
        loading.hold(spec)
        known = specs.vocabulary(spec)
    assert known is not None
    return known


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
        named = set().union(*(named_in(text, shot.base_model_hash) for text in prompts.texts_of(shot)))
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


def open_files(shelf: Shelf, shots: Sequence[Shot]) -> dict[LoraUse, LoraFile]:
    """Read the LoRA files that the prompts of shots name."""
    uses = {use for shot in shots for use in shot.loras if use.in_prompt}
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
    base = loading.hold(spec)
    shots = [
        Shot(prompt, negative, 0, 1, "Euler", 7.0, 64, 64, spec.name, base.hash, ())
        for prompt, negative in prompts_and_negatives
    ]
    paths = {shelf.lora(use.name) for shot in with_networks(base, shelf, shots) for use in shot.loras}
    for path in sorted(paths):
        merged(base, [(open_lora(path), 1.0)])
