"""Grow the dataset: accepted candidates become picks, and picks get new captions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap import captions, images, reading
from bootstrap.catalog import Catalog, generations, picks
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.picks import Pick
from bootstrap.commands import command
from bootstrap.dataset import pick_files
from bootstrap.errors import UserError
from bootstrap.files import remove_file, remove_partial_files
from bootstrap.project.projects import Project
from bootstrap.project.running import exclusively

_CANDIDATE_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Growth:
    """What growing the dataset changed."""

    added: int
    removed: int
    size: int  # pictures in the dataset now, including the original


def grow(project: Project, catalog: Catalog) -> Growth:
    """Update the dataset to the original plus all candidates of any generation that are accepted now.

    A new pick's caption is its prompt's tags. A pick whose verdict was undone leaves the dataset. The generation
    under review becomes "grown", so the next run begins the next generation. If the process is killed, the dataset
    is the old one or the new one; the next call tidies its folder.

    Raises:
        UserError: no generation has been published, one is unfinished or running, nothing has changed, or the
            picture of an accepted candidate cannot be read; nothing is changed then.
    """
    with exclusively(project):
        was_interrupted = pick_files.finish_interrupted(project, catalog)
        number = _reviewed_generation(project, catalog)
        changes = picks.changes(catalog, project.name)
        if not changes and not was_interrupted:
            raise UserError(
                f"project '{project.name}': no new picks; accept candidates first (`{command('up')}`)"
            )
        for candidate in changes.to_add:
            images.open_picture(_picture_of(project, candidate))
        if changes:
            changed = [*(candidate.id for candidate in changes.to_add), *changes.to_remove]
            with pick_files.changing(project, catalog, changed):
                added = [_write_pick(project, candidate) for candidate in changes.to_add]
                picks.apply(catalog, project.name, number, added, changes.to_remove)
        present = picks.picks(catalog, project.name)
        _remove_stale_files(project, {pick.candidate_id for pick in present})
    return Growth(len(changes.to_add), len(changes.to_remove), 1 + len(present))


def _reviewed_generation(project: Project, catalog: Catalog) -> int:
    """Return the latest generation's number, if its candidates are up for review."""
    statuses = generations.statuses(catalog, project.name)
    if not statuses:
        raise UserError(
            f"project '{project.name}': there is no generation to take picks from; start one "
            f"(`{command('run', project.name)}`)"
        )
    last = statuses[-1]
    if not last.state.is_up_for_review:
        raise UserError(
            f"project '{project.name}': generation {last.number} is not finished ({last.state}); "
            f"`{command('run', project.name)}` finishes it, grow after that"
        )
    return last.number


def _write_pick(project: Project, candidate: Candidate) -> Pick:
    """Copy a candidate to the dataset's folder."""
    caption = candidate.caption
    if not caption:
        raise UserError(f"candidate '{candidate.id}': its prompt is empty, so a pick would have no caption")
    path = pick_files.write(project, candidate.id, _picture_of(project, candidate), caption)
    return Pick(candidate.id, path.relative_to(project.folder), caption)


def _picture_of(project: Project, candidate: Candidate) -> Path:
    return reading.inside(project.folder, candidate.path, f"candidate '{candidate.id}' of '{project.name}'")


def _remove_stale_files(project: Project, pick_ids: set[str]) -> None:
    """Delete former picks, and files that a killed process left; files that are not ours stay."""
    for path in project.dataset_folder.glob("*"):
        if (
            path.suffix in (".png", ".txt")
            and _CANDIDATE_ID.fullmatch(path.stem)
            and path.stem not in pick_ids
        ):
            remove_file(path)
    remove_partial_files(project.dataset_folder)


def recaption(project: Project, catalog: Catalog, changed: Mapping[str, str]) -> int:
    """Change the captions of picks, all of them or none; the next training uses the new ones.

    Args:
        changed: new captions by candidate id; unchanged ones do not count.

    Returns:
        The number of captions that changed.

    Raises:
        UserError: a caption is empty or has prompt syntax, there is no such pick, or a generation is running.
    """
    present = {pick.candidate_id: pick for pick in picks.picks(catalog, project.name)}
    new: dict[str, str] = {}
    for candidate_id, text in changed.items():
        if candidate_id not in present:
            raise UserError(f"pick '{candidate_id}': the dataset of '{project.name}' has none with this id")
        try:
            captions.check_length(text, "a caption")
            caption = captions.join(captions.read(text))
        except ValueError as error:
            raise UserError(f"pick '{candidate_id}': {error}") from None
        if not caption:
            raise UserError(
                f"pick '{candidate_id}': its caption would be empty; a pick needs at least one tag"
            )
        if caption != present[candidate_id].caption:
            new[candidate_id] = caption
    with exclusively(project):
        pick_files.finish_interrupted(project, catalog)
        if new:
            with pick_files.changing(project, catalog, new):
                picks.set_captions(catalog, project.name, new)
    return len(new)
