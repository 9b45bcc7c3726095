"""Show the pairs of candidates on both sides of the limit for duplicates, with their distances."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bootstrap import images, reading
from bootstrap.catalog import Catalog, candidates, measurements
from bootstrap.catalog.measurements import Compared
from bootstrap.catalog.states import KEPT, CandidateState
from bootstrap.curation.duplicates import Limits, difference, near_pairs
from bootstrap.curation.known import load_prints, to_small
from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.pictures.contact_sheet import Cell, compose
from bootstrap.pictures.thumbnails import THUMBNAIL_SIDE
from bootstrap.project.projects import Project

# How far beyond the settings' limits pairs are searched, and how many are measured at most.
_MORE_BITS = 6
_MORE_DIFFERENCE = 2.0
_MOST_PAIRS = 5_000
_COLUMNS = 3


@dataclass(frozen=True)
class Pair:
    """Two candidates and their distance from each other."""

    earlier: str  # shot ids, in order of drawing
    later: str
    distance: int  # bits; straight or mirrored, whichever pair is nearer
    difference: float  # see duplicates.difference; straight or mirrored likewise
    is_mirrored: bool

    def nearness(self, limits: Limits) -> float:
        """Return the distance relative to the limits: 1.0 on the line, less for duplicates, more for others."""
        hash_nearness = self.distance / max(1, limits.distance)
        return max(hash_nearness, self.difference / max(1e-6, limits.pixel_difference))


def pairs_around(project: Project, catalog: Catalog, count: int) -> list[Pair]:
    """Return up to `count` pairs of candidates nearest to the line, half of them on each side, most alike first.

    Random hashes (of flat and dark pictures) do not decide whether pictures are duplicates; here they appear as pairs
    with many bits and a small difference.
    """
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    ids, prints = load_prints(project, catalog, Compared((*KEPT, CandidateState.DUPLICATE)))
    loose_limits = Limits(min(64, limits.distance + _MORE_BITS), limits.pixel_difference * _MORE_DIFFERENCE)
    measured: dict[tuple[int, int], Pair] = {}
    near_enough = list(itertools.islice(near_pairs(prints, loose_limits), _MOST_PAIRS))
    copies = measurements.small_copies(
        catalog, {int(ids[index]) for new, old, _ in near_enough for index in (new, old)}
    )
    for new, old, is_mirrored in near_enough:
        earlier, later = copies[int(ids[old])], copies[int(ids[new])]
        earlier_small, later_small = to_small(earlier.pixels), to_small(later.pixels)
        hashes = prints.image_hash_mirrored if is_mirrored else prints.image_hash
        pair = Pair(
            earlier=earlier.id,
            later=later.id,
            distance=int(np.bitwise_count(hashes[new] ^ prints.image_hash[old])),
            difference=difference(
                later_small[:, ::-1] if is_mirrored else later_small, earlier_small, limits.pixel_difference
            ),
            is_mirrored=is_mirrored,
        )
        closest_so_far = measured.get((new, old))
        if closest_so_far is None or pair.nearness(limits) < closest_so_far.nearness(limits):
            measured[new, old] = pair
    ordered = sorted(measured.values(), key=lambda pair: pair.nearness(limits))
    same = [pair for pair in ordered if pair.nearness(limits) <= 1]
    different = ordered[len(same) :]
    return same[-max(count // 2, count - len(different)) :] + different[: count - min(len(same), count // 2)]


def draw_pairs(project: Project, catalog: Catalog, pairs: list[Pair], path: Path) -> None:
    """Write a PNG with the pairs side by side.

    Raises:
        UserError: there are no pairs, or none of their pictures can be read.
    """
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    cells = []
    paths = candidates.paths(
        catalog, project.name, {candidate_id for pair in pairs for candidate_id in (pair.earlier, pair.later)}
    )
    for pair in pairs:
        try:
            pictures = [
                images.open_picture(
                    reading.inside(project.folder, paths[candidate_id], f"candidate '{candidate_id}'")
                )
                for candidate_id in (pair.earlier, pair.later)
            ]
        except UserError:
            continue  # a file is gone: nothing to show
        outcome = "duplicates" if pair.nearness(limits) <= 1 else "different"
        mirrored = ", mirrored" if pair.is_mirrored else ""
        label = f"{outcome}: {pair.distance} bits, difference {pair.difference:.3f}{mirrored}"
        cells.append(Cell(_beside(pictures), (label, f"{pair.earlier}  {pair.later}")))
    if not cells:
        raise UserError(f"project '{project.name}': no two candidates are close enough to compare")
    title = f"{project.name}: duplicates up to {limits.distance} bits and a difference of {limits.pixel_difference:g}"
    with whole_file(path) as temporary:
        compose(title, cells, _COLUMNS).save(temporary, "PNG")


def _beside(pictures: list[Image.Image]) -> Image.Image:
    for picture in pictures:
        picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    both = Image.new("RGB", (2 * THUMBNAIL_SIDE, max(picture.height for picture in pictures)), "white")
    for index, picture in enumerate(pictures):
        both.paste(picture, (index * THUMBNAIL_SIDE, 0))
    return both
