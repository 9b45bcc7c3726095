"""What `sid status` and `sid candidates --json` print: plain dicts for scripts, aligned text for people."""

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from bootstrap.catalog import Catalog, generations, picks
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import COUNTED, INTERRUPTED, GenerationState
from bootstrap.commands import command
from bootstrap.errors import UserError, cell, printable
from bootstrap.project import running
from bootstrap.project.names import Stray
from bootstrap.project.projects import Project, Workspace


def collect(workspace: Workspace, names: list[str]) -> list[dict[str, Any]]:
    """Return one dict per project, with its generations, its dataset and what to do next.

    A project whose settings cannot be read, or whose folder cannot be used, is listed too, with the reason under
    `problem`. An empty workspace gets no catalog.
    """
    if not names:
        return []
    with closing(workspace.open_catalog()) as catalog:
        return [_collect_project(Project(workspace, name), catalog) for name in names]


def _collect_project(project: Project, catalog: Catalog) -> dict[str, Any]:
    problem = caption = base_model = None
    try:
        caption, base_model = project.settings.project.caption, project.base_model.name
    except UserError as error:
        problem = f"mend the settings: {error}"
    is_running = False
    try:
        is_running = running.is_running(project)
    except UserError as error:
        problem = problem or f"mend its folder: {error}"
    statuses = generations.statuses(catalog, project.name)
    changes = picks.changes(catalog, project.name)
    page: dict[str, Any] = {
        "name": project.name,
        "folder": str(project.folder),
        "caption": caption,
        "base_model": base_model,
        "problem": problem.partition(": ")[2] if problem else None,
        "running": is_running,
        "dataset_size": 1 + len(picks.picks(catalog, project.name)),
        "picks_to_add": len(changes.to_add),
        "picks_to_remove": len(changes.to_remove),
        "generations": [
            {**dataclasses.asdict(status), INTERRUPTED: status.state.is_begun and not is_running}
            for status in statuses
        ],
    }
    page["next"] = problem or _next_step(page, statuses[-1] if statuses else None)
    return page


def _next_step(page: dict[str, Any], last: GenerationStatus | None) -> str:
    """Return the user's next step, in one line."""
    run, grow, app = command("run", page["name"]), command("grow", page["name"]), command("up")
    if page["running"]:
        return f"wait for the generation, or review what is published: {app}"
    if last is None:
        return run
    if last.state is GenerationState.WAITING:
        return f"{run}  (does generation {last.number}, which waits)"
    if last.state.is_begun:
        return f"{run}  (resumes generation {last.number}, which was interrupted)"
    if last.state is GenerationState.FAILED:
        return f"{run}  (resumes generation {last.number}, which failed)"
    if last.state is GenerationState.CANCELLED:
        return f"{run}  (resumes generation {last.number}, which was cancelled)"
    changed = page["picks_to_add"] + page["picks_to_remove"]
    if last.state is GenerationState.GROWN and not changed:
        return f"{run}  (trains generation {last.number + 1} on {page['dataset_size']} pictures)"
    if last.undecided and not changed:
        return f"{app}  ({last.undecided} undecided)"
    if last.undecided:
        return f"{app}  ({last.undecided} undecided), or {grow}  ({_changes(page)})"
    if changed:
        return f"{grow}  ({_changes(page)})"
    return f"{app}: accept candidates, none is a new pick yet (or change the recipes, then {run})"


def _changes(page: dict[str, Any]) -> str:
    parts = [f"{page['picks_to_add']} new picks"] if page["picks_to_add"] else []
    parts += [f"{page['picks_to_remove']} taken back"] if page["picks_to_remove"] else []
    return ", ".join(parts)


def render(workspace: Workspace, page: list[dict[str, Any]], strays: Sequence[Stray] = ()) -> str:
    """Return the result of `collect` as text for a terminal, with a line for all else in the projects' folder."""
    head = printable(f"workspace {workspace.folder}")
    if not page:
        head += f'\nno projects yet; next: {command("new")} NAME --image P --caption "woman, red apple"'
    parts = [head, *("\n".join(_project_lines(project)) for project in page)]
    if strays:
        parts.append("\n".join(map(str, strays)))
    return "\n\n".join(parts)


def _project_lines(page: dict[str, Any]) -> list[str]:
    pictures = "1 picture" if page["dataset_size"] == 1 else f"{page['dataset_size']} pictures"
    lines = [f"{page['name']}  (base model {page['base_model'] or 'unknown'}, dataset of {pictures})"]
    if page["caption"]:
        lines.append(f"  caption: {cell(page['caption'], 400)}")
    if page["generations"]:
        lines += [f"  {line}" for line in _table(page["generations"], page["running"])]
    lines.append(f"  next: {page['next']}")
    return lines


def _table(rows: list[dict[str, Any]], running: bool) -> list[str]:
    cells = [["generation", "state", *COUNTED]]
    for row in rows:
        state = INTERRUPTED if row[INTERRUPTED] else row["state"]
        counts = (row[key] for key in COUNTED.values())
        cells.append([str(row["number"]), state, *(str(count) for count in counts)])
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        # Numbers are aligned to the right, the state to the left.
        aligned = (
            text.ljust(width) if index == 1 else text.rjust(width)
            for index, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join(aligned).rstrip())
    last = rows[-1]
    if running and last["total"]:
        speed = f", {last['rate']:.2f} {last['unit']}/s" if last["rate"] else ""
        done = f"{last['stage']} {last['done']}/{last['total']} {last['unit']}{speed}"
        lines.append(f"now: {done} {cell(last['message'], 200)}".rstrip())
    elif last["state"] is GenerationState.FAILED and last["message"]:
        lines.append(f"failed: {cell(last['message'], 400)}")
    return lines


def candidate_as_dict(project: Project, candidate: Candidate) -> dict[str, Any]:
    """Return a candidate with its whole shot, ready for JSON; paths are absolute."""
    return {
        "id": candidate.id,
        "generation": candidate.generation,
        "state": candidate.state,
        "duplicate_of": candidate.duplicate_of,
        "verdict": candidate.verdict,
        "reviewer": candidate.reviewer,
        "decided_at": candidate.decided_at.isoformat() if candidate.decided_at else None,
        "path": str(project.folder / candidate.path),
        "thumbnail": str(project.folder / candidate.thumbnail),
        "recipe": candidate.shot.recipe,
        "strength": candidate.shot.strength,
        "snapshot": candidate.shot.snapshot,
        "scores": dataclasses.asdict(candidate.scores),
        "shot": candidate.shot.to_dict(),
    }
