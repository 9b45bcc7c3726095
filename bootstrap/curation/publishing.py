"""The station publish: make what review shows (thumbnails, contact sheet), then put the candidates up."""

from pathlib import Path

from PIL import Image
from sqlalchemy import select

from bootstrap import images
from bootstrap.catalog import Catalog, candidates, generations
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.tables import CandidateRow
from bootstrap.curation import ranking
from bootstrap.curation.clusters import compare_again
from bootstrap.files import whole_file
from bootstrap.pictures.contact_sheet import Cell, draw
from bootstrap.pictures.thumbnails import THUMBNAIL_SIDE, make_thumbnail
from bootstrap.project.projects import Project
from bootstrap.shots import Shot

MAX_ON_SHEET = 240  # more make a picture too large to look at
_COLUMNS = 10


def publish(project: Project, catalog: Catalog, number: int) -> Path:
    """Put the curated candidates of a generation up for review, and return its contact sheet's path.

    Thumbnails and sheet are there before a candidate is; a run that was killed is finished by another one. Candidates
    with a flaw stay hidden, unless the settings say otherwise. The rest is ranked.

    Raises:
        UserError: the original cannot be read.
    """
    hides = project.settings.curation.hide_flawed
    while True:
        up = [
            one
            for one in candidates.candidates(catalog, project.name, generation=number, state=None)
            if one.state in ("curated", "published") or (one.state == "flawed" and not hides)
        ]
        flawed = {one.id for one in up if hides and one.scores.flaw and one.state == "curated"}
        shown = [one for one in up if one.id not in flawed and make_thumbnail(project, one)]
        seen = {one.id for one in shown} | flawed
        lost = [one.id for one in up if one.state == "curated" and one.id not in seen]
        if not lost:
            break
        _give_up(project, catalog, number, lost)
    sheet = _draw_sheet(project, number, shown)
    _commit(catalog, project.name, number, {one.id for one in shown}, flawed)
    ranking.rank(catalog, project.name, number)
    return sheet


def _give_up(project: Project, catalog: Catalog, number: int, lost: list[str]) -> None:
    """Note candidates as broken; what was hidden as their duplicate is compared anew."""
    with catalog.write() as session:
        owner = generations.generation_row(session, project.name, number)
        of_project = select(CandidateRow).where(CandidateRow.project_id == owner.project_id)
        for row in session.scalars(of_project.where(CandidateRow.shot_id.in_(lost))):
            row.state = "broken"
        hidden = session.scalars(of_project.where(CandidateRow.duplicate_of.in_(lost))).all()
        left = [row.shot_id for row in hidden]
    compare_again(project, catalog, left)


def _draw_sheet(project: Project, number: int, shown: list[Candidate]) -> Path:
    original = images.open_picture(project.original)
    original.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    cells = [Cell(original, ("original",))]
    for candidate in shown[:MAX_ON_SHEET]:
        with Image.open(project.folder / candidate.thumbnail) as thumbnail:
            cells.append(Cell(thumbnail.convert("RGB"), _label(candidate.shot)))
    title = f"{project.name}, generation {number}: {len(shown)} candidates"
    if len(shown) > MAX_ON_SHEET:
        title += f", the first {MAX_ON_SHEET} of them"
    path = project.generation_folder(number) / "sheet.png"
    with whole_file(path) as temporary:
        draw(title, cells, _COLUMNS).save(temporary, "PNG")
    return path


def _label(shot: Shot) -> tuple[str, ...]:
    """Two short lines: what was asked for, and with how much LoRA."""
    changed = [f"no {tag}" for tag in shot.eliminated] + [f"with {tag}" for tag in shot.added]
    return ", ".join(changed) or shot.recipe, f"{shot.strength:.2f} of snapshot {shot.snapshot}"


def _commit(catalog: Catalog, project: str, number: int, shown: set[str], flawed: set[str]) -> None:
    with catalog.write() as session:
        owner = generations.generation_row(session, project, number)
        of_generation = select(CandidateRow).where(CandidateRow.generation_id == owner.id)
        for row in session.scalars(of_generation.where(CandidateRow.state.in_(("curated", "flawed")))):
            if row.shot_id in shown:
                row.state = "published"
            elif row.shot_id in flawed:
                row.state = "flawed"
