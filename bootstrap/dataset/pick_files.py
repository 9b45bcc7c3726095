"""The files of the picks: a picture and its caption each, which follow the catalog, also after a kill.

The catalog changes in one transaction, the files one by one. So a journal in the dataset's folder names the picks that
are about to change. Whoever next works on the dataset lets the files of these picks follow the catalog, whose
transaction was committed or not.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from bootstrap import reading
from bootstrap.catalog import Catalog, candidates, picks
from bootstrap.errors import UserError
from bootstrap.files import copy_file, remove_file, remove_partial_files, write_text
from bootstrap.project.projects import Project

_JOURNAL = ".sid-changing.json"


def picture(project: Project, candidate_id: str) -> Path:
    """Return the path of a pick's picture; its caption lies beside it as .txt."""
    return project.dataset_folder / f"{candidate_id}.png"


def write(project: Project, candidate_id: str, source: Path, caption: str) -> Path:
    """Copy a pick's picture to the dataset's folder, write its caption beside it, and return the picture's path."""
    path = picture(project, candidate_id)
    copy_file(source, path)
    _write_caption(path, caption)
    return path


def remove(project: Project, candidate_id: str) -> None:
    """Delete a pick's files."""
    path = picture(project, candidate_id)
    remove_file(path)
    remove_file(path.with_suffix(".txt"))


@contextmanager
def changing(project: Project, catalog: Catalog, ids: Collection[str]) -> Iterator[None]:
    """Add, remove or recaption picks within the block, in the catalog and in the files: all of them or none.

    The block writes new pictures first, and then changes the catalog in one transaction. The rest of the files follows
    at its end, or with `finish_interrupted` if the process is killed. The caller holds the project
    (bootstrap.project.running).

    Args:
        ids: the candidates that may become picks, are no longer picks, or get another caption.
    """
    write_text(_journal(project), json.dumps(sorted(ids)))
    try:
        yield
    finally:
        _follow_catalog(project, catalog, ids)
        remove_file(_journal(project))


def is_interrupted(project: Project) -> bool:
    """Return whether a change of the picks was not finished; while a process works on the project, it may still be."""
    return _journal(project).is_file()


def finish_interrupted(project: Project, catalog: Catalog) -> bool:
    """Let the files follow the catalog if a process was killed while it changed picks; return whether one was.

    The caller holds the project.
    """
    if not is_interrupted(project):
        return False
    remove_partial_files(project.dataset_folder)
    _follow_catalog(project, catalog, _named_in_journal(project))
    remove_file(_journal(project))
    return True


def _follow_catalog(project: Project, catalog: Catalog, ids: Collection[str]) -> None:
    present = {pick.candidate_id: pick for pick in picks.picks(catalog, project.name)}
    # Of what a new catalog does not know, the files are all that is left.
    for candidate_id in candidates.ids(catalog, project.name).intersection(ids):
        if candidate_id not in present:
            remove(project, candidate_id)
            continue
        path = picture(project, candidate_id)
        try:
            is_current = path.with_suffix(".txt").read_text("utf-8") == _text(present[candidate_id].caption)
        except (OSError, UnicodeDecodeError):
            is_current = False
        if not is_current:
            _write_caption(path, present[candidate_id].caption)


def _named_in_journal(project: Project) -> list[str]:
    try:
        return reading.shaped(list[str], reading.json_file(_journal(project), "journal", ""), "journal", "")
    except UserError:  # sid writes it whole, so something else has changed it
        return []


def _write_caption(path: Path, caption: str) -> None:
    write_text(path.with_suffix(".txt"), _text(caption))


def _text(caption: str) -> str:
    return caption + "\n"


def _journal(project: Project) -> Path:
    return project.dataset_folder / _JOURNAL
