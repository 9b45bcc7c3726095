"""The examples of a training: each picture with its caption, repeats and size, without loading a model."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bootstrap import images
from bootstrap.catalog import Catalog
from bootstrap.dataset import entries
from bootstrap.dataset.class_pictures import ClassPicture
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.models import specs
from bootstrap.models.family import BaseModel, BaseModelSpec, Geometry
from bootstrap.project.projects import Project
from bootstrap.project.settings import TrainingSection
from bootstrap.training import identity, optimizer_options
from bootstrap.training.identity import Example

MOST_CUT_OFF = 0.15  # of a picture's area, before it is told
_LEAST_CHUNK = 75  # tokens; no family has smaller chunks


def examples_of(
    project: Project, catalog: Catalog, base: BaseModel | Geometry, class_pictures: list[ClassPicture]
) -> list[Example]:
    """Return the dataset with repeats and size of each picture, then the regularization pictures."""
    pictures = entries.of_project(project, catalog)
    project_size = training_size(project, base)

    def size(path: Path) -> tuple[int, int]:
        return _size_in_training(project, base, images.size_of(path), project_size)

    original_repeats, pick_repeats = entries.balance(len(pictures) - 1, project.settings.training.repeats)
    dataset = [
        Example(
            str(picture.path),
            picture.picture_sha256,
            picture.caption,
            original_repeats if picture.is_original else pick_repeats,
            size(picture.path),
        )
        for picture in pictures
    ]
    return dataset + [
        Example(str(picture.path), sha256_of_file(picture.path), picture.caption, 1, size(picture.path), True)
        for picture in class_pictures
    ]


def check_captions(
    spec: BaseModelSpec, captions_of: Sequence[tuple[Path | str, str]], max_token_length: int
) -> None:
    """Check that the base model can read each caption, and that none has more tokens than `max_token_length`.

    The latter is for text encoders that read chunks; others have a limit of their own.

    Args:
        spec: the base model, whose vocabulary is loaded only for captions with more characters than that.
        captions_of: each picture's file and caption.

    Raises:
        UserError: one has; the message names its picture.
    """
    family = specs.family(spec)
    for path, caption in captions_of:
        if family is None:  # a hub model that is not on this machine
            break
        try:
            family.check_prompt(caption, specs.files(spec))
        except ValueError as error:
            raise UserError(f"caption of {Path(path).name}: {error}") from None
    longer = [(path, caption) for path, caption in captions_of if len(caption) > max_token_length]
    vocabulary = specs.vocabulary(spec) if longer else None
    if vocabulary is not None and vocabulary.chunk_tokens is None:
        return  # the family's own limit counts
    for path, caption in longer:
        tokens = vocabulary.count(caption) if vocabulary is not None else 0
        if tokens > max_token_length:
            raise UserError(
                f"caption of {Path(path).name}: it has {tokens} tokens, training.max_token_length is "
                f"{max_token_length}; shorten it or raise max_token_length (75, 150 or 225)"
            )


def id_of(
    examples: list[Example], spec: BaseModelSpec, base_model_hash: str, settings: TrainingSection
) -> str:
    """Return the id of a training; see bootstrap.training.identity."""
    options = optimizer_options.PRODIGY if settings.optimizer == "Prodigy" else None
    return identity.training_id(examples, base_model_hash, settings, options, have_chunks(spec, examples))


def have_chunks(spec: BaseModelSpec, examples: Sequence[Example]) -> bool:
    """Whether a caption has more tokens than the base model's text encoders read at once.

    False for a hub model that is not on this machine. The vocabulary is loaded only for captions that may have that
    many tokens: one has a character at least, and spaces are none.
    """
    vocabulary = None
    for caption in dict.fromkeys(example.caption for example in examples):
        if len("".join(caption.split())) <= _LEAST_CHUNK:
            continue
        vocabulary = vocabulary or specs.vocabulary(spec)
        if vocabulary is None or vocabulary.chunk_tokens is None:
            return False
        if vocabulary.count(caption) > vocabulary.chunk_tokens:
            return True
    return False


def _size_in_training(
    project: Project, base: BaseModel | Geometry, picture_size: tuple[int, int], project_size: tuple[int, int]
) -> tuple[int, int]:
    """Return a size of the picture's own proportions, or the original's training size if it already has that."""
    if picture_size == project_size:
        return picture_size
    return fitted_size(picture_size, _resolution(project, base), base.size_step)


def cut_off_line(
    project: Project, base: BaseModel | Geometry, pictures: Iterable[tuple[str, tuple[int, int]]]
) -> str | None:
    """Return a line about the pictures that lose more than 15 % of their area in training; None: there are none.

    A picture is scaled to cover the size that it trains at, whose sides are multiples of the model's step, and what
    reaches beyond is cut off.

    Args:
        pictures: name, width and height of each, in pixels.
    """
    project_size = training_size(project, base)
    cut = []
    for name, (width, height) in pictures:
        trained = _size_in_training(project, base, (width, height), project_size)
        proportions = (width * trained[1]) / (height * trained[0])
        share = 1 - min(proportions, 1 / proportions)
        if share > MOST_CUT_OFF:
            cut.append((share, name, (width, height), trained))
    if not cut:
        return None
    share, name, (width, height), trained = max(cut)
    counted = "1 picture" if len(cut) == 1 else f"{len(cut)} pictures"
    return (
        f"project '{project.name}': training cuts over {MOST_CUT_OFF:.0%} off {counted}, most off {name}: {share:.0%} "
        f"({width}x{height}, trained at {trained[0]}x{trained[1]}); crop it yourself to choose what stays"
    )


def training_size(project: Project, base: BaseModel | Geometry) -> tuple[int, int]:
    """Return the width and height in pixels at which a project trains."""
    return fitted_size(images.size_of(project.original), _resolution(project, base), base.size_step)


def fitted_size(picture: tuple[int, int], resolution: int, step: int) -> tuple[int, int]:
    """Return the width and height to train at: about resolution x resolution pixels, in the picture's proportions.

    Args:
        picture: width and height of the original in pixels.
        resolution: side of the square whose area the result approximates.
        step: both sides are multiples of it.
    """
    width, height = picture
    scale = (resolution * resolution / (width * height)) ** 0.5
    return (max(step, round(width * scale / step) * step), max(step, round(height * scale / step) * step))


def _resolution(project: Project, base: BaseModel | Geometry) -> int:
    return project.settings.training.resolution or base.resolution


def output_name(project: Project, number: int) -> str:
    """Return kohya's output_name of a generation's LoRA, valid in `<lora:...>` and as a file name."""
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', project.name)}-g{number:02d}"
