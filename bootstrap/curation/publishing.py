"""The station `publish`: make thumbnails and the contact sheet, then put the candidates up for review."""

from pathlib import Path

from PIL import Image

from bootstrap import images, reading
from bootstrap.catalog import candidate_states
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.states import KEPT, CandidateState
from bootstrap.curation import ranking
from bootstrap.curation.clusters import compare_again
from bootstrap.files import whole_file
from bootstrap.pictures.contact_sheet import Cell, compose
from bootstrap.pictures.thumbnails import THUMBNAIL_SIDE, make_thumbnail
from bootstrap.project.generation import Generation
from bootstrap.shots import Shot

MAX_ON_SHEET = 240  # more make a picture too large to look at
_COLUMNS = 10


def publish(generation: Generation) -> Path:
    """Put the curated candidates of a generation up for review, and return the path of its contact sheet.

    Thumbnails and sheet are written before a candidate appears; an interrupted run is completed by running it again.
    Candidates with a flaw stay hidden, unless the settings say otherwise. The rest is ranked.

    Raises:
        UserError: the original cannot be read.
    """
    project, catalog = generation.project, generation.catalog
    hides = project.settings.curation.hide_flawed
    while True:
        reviewable = [
            candidate
            for candidate in generation.candidates(state=None)
            if candidate.state in KEPT or (candidate.state is CandidateState.FLAWED and not hides)
        ]
        curated = [candidate for candidate in reviewable if candidate.state is CandidateState.CURATED]
        flawed = {candidate.id for candidate in curated if hides and candidate.scores.flaw}
        shown = [
            candidate
            for candidate in reviewable
            if candidate.id not in flawed and make_thumbnail(project, candidate)
        ]
        handled = {candidate.id for candidate in shown} | flawed
        unreadable = [candidate.id for candidate in curated if candidate.id not in handled]
        if not unreadable:
            break
        # Compare the duplicates of unreadable candidates again, to show one of them instead.
        compare_again(project, catalog, candidate_states.call_broken(catalog, project.name, unreadable))
    sheet = _draw_sheet(generation, shown)
    candidate_states.publish(
        catalog, project.name, generation.number, {candidate.id for candidate in shown}, flawed
    )
    ranking.rank(generation)
    return sheet


def _draw_sheet(generation: Generation, shown: list[Candidate]) -> Path:
    project = generation.project
    original = images.open_picture(project.original)
    original.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    cells = [Cell(original, ("original",))]
    for candidate in shown[:MAX_ON_SHEET]:
        path = reading.inside(project.folder, candidate.thumbnail, f"candidate '{candidate.id}'")
        with Image.open(path, formats=["WEBP"]) as thumbnail:
            cells.append(Cell(thumbnail.convert("RGB"), _label(candidate.shot)))
    title = f"{project.name}, generation {generation.number}: {len(shown)} candidates"
    if len(shown) > MAX_ON_SHEET:
        title += f", the first {MAX_ON_SHEET} of them"
    path = generation.folder / "sheet.png"
    with whole_file(path) as temporary:
        compose(title, cells, _COLUMNS).save(temporary, "PNG")
    return path


def _label(shot: Shot) -> tuple[str, ...]:
    """Return two short lines: what the recipe changed, and the LoRA's strength and snapshot."""
    changed = [f"no {tag}" for tag in shot.eliminated] + [f"with {tag}" for tag in shot.added]
    return ", ".join(changed) or shot.recipe, f"{shot.strength:.2f} of snapshot {shot.snapshot}"
