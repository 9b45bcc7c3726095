"""Changes of a dataset from the app, each of which can be undone while this server runs. No Streamlit."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bootstrap import captions
from bootstrap.catalog import Catalog, picks
from bootstrap.catalog.picks import Removed
from bootstrap.dataset import growth, removal
from bootstrap.dataset.retagging import TagEdit, retag
from bootstrap.errors import UserError
from bootstrap.project.projects import Project

_MOST_KEPT = 50  # changes of a project that can be undone
_MOST_IDS = 10_000  # in one request


class Request(BaseModel):
    """What the page sends: new captions by candidate id, or picks to take out of the dataset."""

    model_config = ConfigDict(extra="forbid")

    captions: dict[str, str] = Field({}, max_length=_MOST_IDS)
    remove: list[str] = Field([], max_length=_MOST_IDS)


@dataclass(frozen=True)
class _Change:
    """One change, and what undoing it needs."""

    what: str  # such as "3 captions changed"
    before: dict[str, str] = field(default_factory=dict)  # captions by candidate id
    after: dict[str, str] = field(default_factory=dict)
    removed: list[Removed] = field(default_factory=list)


_lock = threading.Lock()
_changes: dict[Path, list[_Change]] = {}  # by project folder, the oldest first


def answer(project: Project, catalog: Catalog, request: Request, reviewer: str) -> dict[str, Any]:
    """Make the changes of a request.

    Returns:
        `captions`: the captions that were asked for, as they are now; `what`: what has changed, for a person.

    Raises:
        UserError: see growth.recaption and removal.remove.
    """
    said = []
    if request.captions:
        said.append(recaption(project, catalog, request.captions))
    if request.remove:
        said.append(remove(project, catalog, request.remove, reviewer))
    present = _captions(project, catalog)
    return {
        "captions": {one: present[one] for one in request.captions if one in present},
        "what": ", ".join(filter(None, said)),
    }


def recaption(project: Project, catalog: Catalog, changed: Mapping[str, str]) -> str:
    """Change captions, and return what has changed, for a person; an empty text: nothing."""
    return _noting_captions(project, catalog, lambda: growth.recaption(project, catalog, changed))


def retagged(project: Project, catalog: Catalog, edit: TagEdit, ids: Collection[str] | None) -> str:
    """Change the tags of many picks, see `retag`; return what has changed, for a person; an empty text: nothing."""
    return _noting_captions(project, catalog, lambda: retag(project, catalog, edit, ids))


def remove(project: Project, catalog: Catalog, ids: Collection[str], reviewer: str) -> str:
    """Take picks out of the dataset, and return what has changed, for a person."""
    removed = removal.remove(project, catalog, ids, reviewer)
    what = "1 pick removed" if len(removed) == 1 else f"{len(removed)} picks removed"
    _note(project, _Change(what, removed=removed))
    return what


def last(project: Project) -> str:
    """Return what `undo` would undo, for a person; an empty text: nothing."""
    changes = _changes.get(project.folder, [])
    return changes[-1].what if changes else ""


def undo(project: Project, catalog: Catalog, reviewer: str) -> str:
    """Undo the last change that this server has made to a project's dataset, and return what it was.

    Raises:
        UserError: there is none, somebody has changed the same captions since, or a generation is running.
    """
    with _lock:
        if not _changes.get(project.folder):
            raise UserError(f"project '{project.name}': there is no change of the dataset to undo")
        change = _changes[project.folder][-1]
        present = _captions(project, catalog)
        differing = [one for one, caption in change.after.items() if present.get(one) != caption]
        if differing:
            _changes[project.folder].pop()
            raise UserError(
                f"pick '{differing[0]}': its caption was changed elsewhere since, so '{change.what}' is not undone"
            )
        if change.before:
            growth.recaption(project, catalog, change.before)
        if change.removed:
            removal.put_back(project, catalog, change.removed, reviewer)
        _changes[project.folder].pop()
        return change.what


def _captions(project: Project, catalog: Catalog) -> dict[str, str]:
    return {pick.candidate_id: pick.caption for pick in picks.picks(catalog, project.name)}


def _noting_captions(project: Project, catalog: Catalog, change: Callable[[], int]) -> str:
    before = _captions(project, catalog)
    change()
    after = _captions(project, catalog)
    changed = [one for one, caption in after.items() if before.get(one, caption) != caption]
    if not changed:
        return ""
    what = "1 caption changed" if len(changed) == 1 else f"{len(changed)} captions changed"
    _note(
        project,
        _Change(what, {one: before[one] for one in changed}, {one: after[one] for one in changed}),
    )
    return what


def _note(project: Project, change: _Change) -> None:
    with _lock:
        changes = _changes.setdefault(project.folder, [])
        changes.append(change)
        del changes[:-_MOST_KEPT]


def uses_of(project: Project, dataset_picks: Collection[picks.Pick]) -> dict[str, int]:
    """Return how many captions of the dataset have a tag, the original's included, the most frequent first."""
    counts: dict[str, int] = {}
    for tags in [project.settings.project.tags, *(captions.parse(pick.caption) for pick in dataset_picks)]:
        for tag in dict.fromkeys(tags):
            counts[tag] = counts.get(tag, 0) + 1
    return dict(sorted(counts.items(), key=lambda use: (-use[1], use[0].casefold())))
