"""How the dataset grows: accepted candidates become picks, and picks get other captions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bootstrap import captions, images
from bootstrap.catalog import Catalog, generations, picks
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.picks import Pick
from bootstrap.errors import UserError
from bootstrap.files import TEMPORARY_PREFIX, copy_file, write_text
from bootstrap.project.projects import Project
from bootstrap.project.running import exclusively

_CANDIDATE_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Growth:
    """What growing the dataset changed."""

    added: int
    removed: int
    size: int  # pictures in the dataset now, the original included


def grow(project: Project, catalog: Catalog) -> Growth:
    """Make the dataset the original plus all candidates that are accepted now, of any generation.

    A new pick's caption is its prompt's tags. A pick whose verdict was taken back leaves the dataset. The
    generation under review becomes "grown", so that the next run begins the next one. A process that is
    killed meanwhile leaves the dataset as it was.

    Raises:
        UserError: no generation has been published, one is unfinished or running, nothing has changed, or
            the picture of an accepted candidate cannot be read; then nothing is changed.
    """
    with exclusively(project):
        number = _reviewed_generation(project, catalog)
        changes = picks.changes(catalog, project.name)
        if not changes:
            raise UserError(f"project '{project.name}': no new picks; accept candidates first (`sid review`)")
        for candidate in changes.to_add:
            images.open_picture(project.folder / candidate.path)
        added = [_write_pick(project, candidate) for candidate in changes.to_add]
        picks.apply(catalog, project.name, number, added, changes.to_remove)
        left = picks.picks(catalog, project.name)
        _remove_files_but_of(project, {pick.candidate_id for pick in left})
    return Growth(len(changes.to_add), len(changes.to_remove), 1 + len(left))


def _reviewed_generation(project: Project, catalog: Catalog) -> int:
    """The latest generation, if its candidates are there for review."""
    statuses = generations.statuses(catalog, project.name)
    if not statuses:
        raise UserError(
            f"project '{project.name}': there is no generation to take picks from; start one (`sid run`)"
        )
    last = statuses[-1]
    if not last.state.is_up_for_review:
        raise UserError(
            f"project '{project.name}': generation {last.number} is not finished ({last.state}); "
            "`sid run` finishes it, grow after that"
        )
    return last.number


def _write_pick(project: Project, candidate: Candidate) -> Pick:
    """Copy a candidate into the dataset's folder."""
    caption = candidate.caption
    if not caption:
        raise UserError(f"candidate '{candidate.id}': its prompt is empty, so a pick would have no caption")
    target = project.dataset_folder / f"{candidate.id}.png"
    copy_file(project.folder / candidate.path, target)
    write_text(target.with_suffix(".txt"), caption + "\n")
    return Pick(candidate.id, target.relative_to(project.folder), caption)


def _remove_files_but_of(project: Project, kept: set[str]) -> None:
    """Delete what is no pick any more, or was left by a growth that was killed; what is not ours stays."""
    for path in project.dataset_folder.glob("*"):
        ours = path.suffix in (".png", ".txt") and _CANDIDATE_ID.fullmatch(path.stem)
        if (ours and path.stem not in kept) or path.name.startswith(TEMPORARY_PREFIX):
            path.unlink()


def recaption(project: Project, catalog: Catalog, changed: Mapping[str, str]) -> int:
    """Give picks other captions, all of them or none; the next training learns with these.

    Args:
        changed: new captions by candidate id; those that are as they were count for nothing.

    Returns:
        How many are different now.

    Raises:
        UserError: a caption is empty, there is no such pick, or a generation is running.
    """
    present = {pick.candidate_id: pick for pick in picks.picks(catalog, project.name)}
    new: dict[str, str] = {}
    for candidate_id, text in changed.items():
        if candidate_id not in present:
            raise UserError(f"pick '{candidate_id}': the dataset of '{project.name}' has none with this id")
        caption = captions.join(captions.parse(text))
        if not caption:
            raise UserError(f"pick '{candidate_id}': its caption would be empty; a pick needs a tag at least")
        if caption != present[candidate_id].caption:
            new[candidate_id] = caption
    with exclusively(project):
        picks.set_captions(catalog, project.name, new)
        for candidate_id, caption in new.items():
            path = project.folder / present[candidate_id].path
            write_text(path.with_suffix(".txt"), caption + "\n")
    return len(new)
