"""The scores that need a model: closeness to the original, novelty for the dataset, agreement with the prompt.

Closeness   Cosine of the candidate's vector and the original's (see bootstrap.pictures.embedding); 1: same picture.
Novelty     1 minus the greatest cosine with any picture of the dataset; 0: nothing new.
Agreement   Share of fulfilled wishes: tags of the prompt that a tagger sees, and left-out tags that it does not see.

The catalog stores vectors for the ranking, shortened by a fixed random projection, which roughly preserves cosines
(Johnson and Lindenstrauss, 1984); the scores are computed from the full vectors.
"""

import logging
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bootstrap import captions, images, reading
from bootstrap.catalog import Catalog, measurements, picks
from bootstrap.catalog.measurements import ModelScores, PictureFile
from bootstrap.errors import UserError
from bootstrap.pictures.embedding import Embedder, open_embedder
from bootstrap.progress import Progress, Report, silent
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.shots import Shot
from bootstrap.tag_scores import Tagger

KEPT_DIMENSIONS = 256
_BATCH = 32  # candidates per commit

_log = logging.getLogger(__name__)


def score(generation: Generation, report: Report = silent) -> None:
    """Score the curated candidates of a generation that have no scores yet, with the available embedder and tagger.

    Raises:
        UserError: the original, a pick, the embedder or the tagger cannot be read.
    """
    project, catalog = generation.project, generation.catalog
    embedder, tagger = open_embedder(project), open_tagger_of(project)
    unscored = measurements.unscored(
        catalog, project.name, generation.number, needs_vectors=embedder is not None
    )
    if not unscored or (embedder is None and tagger is None):
        return
    size = unscored[0][0].size
    dataset = _vectors_of_dataset(project, catalog, embedder, size) if embedder else None
    for start in range(0, len(unscored), _BATCH):
        batch, pictures = _open(project, unscored[start : start + _BATCH], size)
        vectors = embedder.embed(pictures) if embedder and pictures else None
        tags_seen = tagger.read(pictures) if tagger else None
        scores: dict[int, ModelScores] = {}
        for index, (file, shot) in enumerate(batch):
            values: dict[str, float] = {}
            if tags_seen is not None:
                share = agreement(shot, [tag.tag for tag in tags_seen[index]])
                values |= {} if share is None else {"agreement": share}
            if embedder is None or vectors is None or dataset is None:
                scores[file.row] = ModelScores(values)
                continue
            cosines = dataset @ vectors[index]
            values |= {"closeness": float(cosines[0]), "novelty": float(1 - cosines.max())}
            stored_vector = shortened(vectors[index]).astype(np.float16).tobytes()
            scores[file.row] = ModelScores(values, embedder.name, stored_vector)
        measurements.set_scores(catalog, scores)
        report(Progress("score", min(start + _BATCH, len(unscored)), len(unscored), "pictures", 0.0))


def shortened(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Project a vector of length 1 to at most KEPT_DIMENSIONS numbers, again of length 1."""
    if len(vector) <= KEPT_DIMENSIONS:
        return vector
    short = vector @ _projection(len(vector))
    return short / max(float(np.linalg.norm(short)), 1e-12)


def agreement(shot: Shot, seen: Sequence[str]) -> float | None:
    """Return the share of a shot's wishes that were fulfilled, 0 to 1; None for a prompt without tags.

    Wishes are the prompt's tags, which a tagger should see, and the tags that the recipe left out, which it should not.
    """
    prompted = captions.of_prompt(shot.prompt)
    if not prompted:
        return None

    def is_seen(tag: str) -> bool:
        return any(captions.same_tag(tag, seen_tag) for seen_tag in seen)

    left_out = [
        tag
        for tag in shot.eliminated
        if not any(captions.same_tag(tag, prompted_tag) for prompted_tag in prompted)
    ]
    fulfilled = sum(map(is_seen, prompted)) + sum(not is_seen(tag) for tag in left_out)
    return fulfilled / (len(prompted) + len(left_out))


@cache
def _projection(dimensions: int) -> NDArray[np.float32]:
    """Return the projection, always the same, so that vectors of different runs can be compared."""
    rng = np.random.Generator(np.random.PCG64(0))
    return rng.standard_normal((dimensions, KEPT_DIMENSIONS), np.float32)


def _open(
    project: Project, batch: Sequence[tuple[PictureFile, Shot]], size: tuple[int, int]
) -> tuple[list[tuple[PictureFile, Shot]], list[Image.Image]]:
    """Return the candidates that can be read, and their pictures scaled to one size."""
    readable, pictures = [], []
    for file, shot in batch:
        try:
            path = reading.inside(project.folder, file.path, f"candidate '{file.id}'")
            pictures.append(images.fit(images.open_picture(path), *size))
        except UserError as error:
            _log.warning("candidate %s gets no scores: %s", file.id, error)
            continue
        readable.append((file, shot))
    return readable, pictures


def _vectors_of_dataset(
    project: Project, catalog: Catalog, embedder: Embedder, size: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the vectors of the dataset, (pictures, d), the original first."""
    in_dataset = (
        reading.inside(project.folder, pick.path, f"pick '{pick.candidate_id}'")
        for pick in picks.picks(catalog, project.name)
    )
    files = [project.original, *in_dataset]
    return embedder.embed([images.fit(images.open_picture(file), *size) for file in files])


def open_tagger_of(project: Project) -> Tagger | None:
    """Return the tagger that the settings name, or else the base model's, if it has one and it is installed."""
    path = project.settings.curation.tagger
    if path is None and project.base_model.tagger is None:
        return None
    from bootstrap.pictures.tagging import open_tagger  # imports torch

    try:
        return open_tagger(project.folder / path if path else None)
    except UserError:
        if path:
            raise
        return None
