"""Read the LoRA files and embeddings that prompts name, and check them against a base model before any work."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bootstrap.lora import formats
from bootstrap.lora.kohya import LoraFile
from bootstrap.lora.merge import merged
from bootstrap.models import loading, specs
from bootstrap.models.family import BaseModel, BaseModelSpec, Vocabulary
from bootstrap.planning.extra_networks import Shelf
from bootstrap.planning.named_networks import with_embeddings, with_loras
from bootstrap.shots import LoraUse, Shot


def with_networks(base: BaseModel, shelf: Shelf, shots: Sequence[Shot]) -> list[Shot]:
    """Return the shots with the LoRA files and embeddings that their prompts name, which are part of their ids.

    LoRAs that a shot has besides its prompt stay, and come first.

    Args:
        base: the base model of most of the shots; other base models are found by name.

    Raises:
        UserError: a LoRA is missing, or a named file cannot be read.
    """
    others = {shot.base_model_hash: shot.base_model for shot in shots if shot.base_model_hash != base.hash}
    vocabularies = {base.hash: _vocabulary(base.spec)}
    vocabularies |= {model_hash: _vocabulary(specs.find(name)) for model_hash, name in others.items()}
    return with_embeddings(shelf, with_loras(shelf, shots), vocabularies)


def _vocabulary(spec: BaseModelSpec) -> Vocabulary:
    vocabulary = specs.vocabulary(spec)
    if vocabulary is None:  # a hub model that is not downloaded yet
        loading.hold(spec)
        vocabulary = specs.vocabulary(spec)
    assert vocabulary is not None
    return vocabulary


def open_files(shelf: Shelf, shots: Sequence[Shot]) -> dict[LoraUse, LoraFile]:
    """Read the LoRA files that the prompts of shots name."""
    uses = {use for shot in shots for use in shot.loras if use.in_prompt}
    return {use: open_lora(shelf.lora(use.name)) for use in uses}


def open_lora(path: Path) -> LoraFile:
    """Read a LoRA file of any format; without `ss_output_name` its name in messages is the file's.

    Raises:
        UserError: the file cannot be read.
    """
    file = formats.read(path)
    return replace(file, metadata={"ss_output_name": path.stem, **file.metadata})


def check(spec: BaseModelSpec, shelf: Shelf, prompts_and_negatives: Sequence[tuple[str, str]]) -> None:
    """Read every LoRA and embedding that the prompts name, and make sure that it fits the base model.

    Raises:
        UserError: one line that names what is wrong.
    """
    for prompt, _ in prompts_and_negatives:
        shelf.lora_uses(prompt)  # report a wrong name before the base model is loaded
    shelf.check_embeddings("\n".join(text for pair in prompts_and_negatives for text in pair))
    base = loading.hold(spec)
    shots = [
        Shot(prompt, negative, 0, 1, "Euler", 7.0, 64, 64, spec.name, base.hash, ())
        for prompt, negative in prompts_and_negatives
    ]
    paths = {shelf.lora(use.name) for shot in with_networks(base, shelf, shots) for use in shot.loras}
    for path in sorted(paths):
        merged(base, [(open_lora(path), 1.0)])
