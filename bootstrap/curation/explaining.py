"""Where the line between duplicates and others runs: the pairs on both sides of it, with their distances."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bootstrap import images
from bootstrap.catalog import Catalog, candidates, measurements
from bootstrap.catalog.measurements import Compared
from bootstrap.catalog.states import KEPT, CandidateState
from bootstrap.curation.duplicates import Limits, difference, near_pairs
from bootstrap.curation.known import load, to_small
from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.pictures.contact_sheet import Cell, draw
from bootstrap.pictures.thumbnails import THUMBNAIL_SIDE
from bootstrap.project.projects import Project

# How much farther than the settings allow pairs are looked for, and how many are measured at most.
_MORE_BITS = 6
_MORE_DIFFERENCE = 2.0
_MOST_PAIRS = 5_000
_COLUMNS = 3


@dataclass(frozen=True)
class Pair:
    """Two candidates and how far they are from each other."""

    one: str  # shot ids, the earlier one first
    other: str
    distance: int  # bits, the lesser of straight and mirrored
    difference: float  # see duplicates.difference; the lesser of straight and mirrored
    is_mirrored: bool

    def nearness(self, limits: Limits) -> float:
        """1 on the line; less: the same picture, more: two."""
        bits = self.distance / max(1, limits.distance)
        return max(bits, self.difference / max(1e-6, limits.pixel_difference))


def pairs_around(project: Project, catalog: Catalog, count: int) -> list[Pair]:
    """Return up to `count` pairs of candidates nearest to the line, most alike first: half of them on each side.

    Hashes that are chance (flat and dark pictures) decide nothing when duplicates are looked for; here they show as
    pairs of many bits and little difference.
    """
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    ids, prints = load(project, catalog, Compared((*KEPT, CandidateState.DUPLICATE)))
    loose = Limits(min(64, limits.distance + _MORE_BITS), limits.pixel_difference * _MORE_DIFFERENCE)
    measured: dict[tuple[int, int], Pair] = {}
    near = list(itertools.islice(near_pairs(prints, loose), _MOST_PAIRS))
    copies = measurements.small_copies(
        catalog, {int(ids[place]) for new, old, _ in near for place in (new, old)}
    )
    for new, old, is_mirrored in near:
        earlier, later = copies[int(ids[old])], copies[int(ids[new])]
        one, other = to_small(earlier.pixels), to_small(later.pixels)
        hashes = prints.image_hash_mirrored if is_mirrored else prints.image_hash
        pair = Pair(
            one=earlier.id,
            other=later.id,
            distance=int(np.bitwise_count(hashes[new] ^ prints.image_hash[old])),
            difference=difference(other[:, ::-1] if is_mirrored else other, one, limits.pixel_difference),
            is_mirrored=is_mirrored,
        )
        best = measured.get((new, old))
        if best is None or pair.nearness(limits) < best.nearness(limits):
            measured[new, old] = pair
    ordered = sorted(measured.values(), key=lambda pair: pair.nearness(limits))
    same = [pair for pair in ordered if pair.nearness(limits) <= 1]
    others = ordered[len(same) :]
    return same[-max(count // 2, count - len(others)) :] + others[: count - min(len(same), count // 2)]


def draw_pairs(project: Project, catalog: Catalog, pairs: list[Pair], path: Path) -> None:
    """Write a PNG with the pairs side by side.

    Raises:
        UserError: there are none, or no picture of theirs can be read.
    """
    limits = Limits(project.settings.dedupe.distance, project.settings.dedupe.pixel_difference)
    cells = []
    paths = candidates.paths(
        catalog, project.name, {name for pair in pairs for name in (pair.one, pair.other)}
    )
    for pair in pairs:
        try:
            beside = [images.open_picture(project.folder / paths[name]) for name in (pair.one, pair.other)]
        except UserError:
            continue  # its file is gone: nothing to show
        side = "the same" if pair.nearness(limits) <= 1 else "two pictures"
        mirrored = ", mirrored" if pair.is_mirrored else ""
        told = f"{side}: {pair.distance} bits, difference {pair.difference:.3f}{mirrored}"
        cells.append(Cell(_beside(beside), (told, f"{pair.one}  {pair.other}")))
    if not cells:
        raise UserError(f"project '{project.name}': no two of its candidates are near the line")
    title = (
        f"{project.name}: same up to {limits.distance} bits and a difference of {limits.pixel_difference:g}"
    )
    with whole_file(path) as temporary:
        draw(title, cells, _COLUMNS).save(temporary, "PNG")


def _beside(pictures: list[Image.Image]) -> Image.Image:
    for picture in pictures:
        picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    both = Image.new("RGB", (2 * THUMBNAIL_SIDE, max(picture.height for picture in pictures)), "white")
    for place, picture in enumerate(pictures):
        both.paste(picture, (place * THUMBNAIL_SIDE, 0))
    return both
