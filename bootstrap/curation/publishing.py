"""The station publish: make what review shows (thumbnails, contact sheet), then put the candidates up."""

from pathlib import Path

from PIL import Image

from bootstrap import images
from bootstrap.catalog import candidate_states
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.states import KEPT, CandidateState
from bootstrap.curation import ranking
from bootstrap.curation.clusters import compare_again
from bootstrap.files import whole_file
from bootstrap.pictures.contact_sheet import Cell, draw
from bootstrap.pictures.thumbnails import THUMBNAIL_SIDE, make_thumbnail
from bootstrap.project.generation import Generation
from bootstrap.shots import Shot

MAX_ON_SHEET = 240  # more make a picture too large to look at
_COLUMNS = 10


def publish(generation: Generation) -> Path:
    """Put the curated candidates of a generation up for review, and return its contact sheet's path.

    Thumbnails and sheet are there before a candidate is; a run that was killed is finished by another one. Candidates
    with a flaw stay hidden, unless the settings say otherwise. The rest is ranked.

    Raises:
        UserError: the original cannot be read.
    """
    project, catalog = generation.project, generation.catalog
    hides = project.settings.curation.hide_flawed
    while True:
        up = [
            one
            for one in generation.candidates(state=None)
            if one.state in KEPT or (one.state is CandidateState.FLAWED and not hides)
        ]
        curated = [one for one in up if one.state is CandidateState.CURATED]
        flawed = {one.id for one in curated if hides and one.scores.flaw}
        shown = [one for one in up if one.id not in flawed and make_thumbnail(project, one)]
        seen = {one.id for one in shown} | flawed
        lost = [one.id for one in curated if one.id not in seen]
        if not lost:
            break
        # What was hidden as their duplicate is compared anew.
        compare_again(project, catalog, candidate_states.call_broken(catalog, project.name, lost))
    sheet = _draw_sheet(generation, shown)
    candidate_states.publish(catalog, project.name, generation.number, {one.id for one in shown}, flawed)
    ranking.rank(generation)
    return sheet


def _draw_sheet(generation: Generation, shown: list[Candidate]) -> Path:
    project = generation.project
    original = images.open_picture(project.original)
    original.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    cells = [Cell(original, ("original",))]
    for candidate in shown[:MAX_ON_SHEET]:
        with Image.open(project.folder / candidate.thumbnail) as thumbnail:
            cells.append(Cell(thumbnail.convert("RGB"), _label(candidate.shot)))
    title = f"{project.name}, generation {generation.number}: {len(shown)} candidates"
    if len(shown) > MAX_ON_SHEET:
        title += f", the first {MAX_ON_SHEET} of them"
    path = generation.folder / "sheet.png"
    with whole_file(path) as temporary:
        draw(title, cells, _COLUMNS).save(temporary, "PNG")
    return path


def _label(shot: Shot) -> tuple[str, ...]:
    """Two short lines: what was asked for, and with how much LoRA."""
    changed = [f"no {tag}" for tag in shot.eliminated] + [f"with {tag}" for tag in shot.added]
    return ", ".join(changed) or shot.recipe, f"{shot.strength:.2f} of snapshot {shot.snapshot}"
