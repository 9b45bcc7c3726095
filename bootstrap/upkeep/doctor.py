"""Check the models, the workspace, its projects and the catalog, and offer repairs.

    for finding in examine(workspace):
        print(finding.what, finding.remedy)
        if finding.repair:
            print(finding.repair())

The check itself changes nothing.
"""

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from bootstrap import images, reading
from bootstrap.catalog import Catalog, candidate_states, candidates, generations, leases, picks
from bootstrap.catalog.states import CandidateState, GenerationState
from bootstrap.dataset import pick_files
from bootstrap.errors import UserError, reason_of
from bootstrap.files import DISK_FLOOR, copy_file, partial_files, remove_partial_files
from bootstrap.models import specs
from bootstrap.models.family import BaseModelSpec
from bootstrap.pictures.thumbnails import make_thumbnail
from bootstrap.project import renaming, running
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, Workspace
from bootstrap.upkeep import reindex, strays
from bootstrap.upkeep.finding import Finding


def machine(workspace: Workspace) -> list[tuple[str, str]]:
    """Return the software, devices and disk space that are available, as (name, value)."""
    import torch  # takes seconds to import, and only this needs it

    device = "no GPU: training and drawing use the CPU"
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        device = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return [
        ("python", platform.python_version()),
        ("torch", torch.__version__),
        ("GPU", device),
        ("CPU cores", str(os.cpu_count())),
        ("memory", f"{memory / 2**30:.0f} GiB" if memory else "unknown"),
        ("workspace", str(workspace.folder)),
        ("disk free", f"{_free_bytes(workspace) / 2**30:.1f} GiB"),
    ]


def examine(workspace: Workspace) -> Iterator[Finding]:
    """Check everything, the cheapest checks first, and yield the problems.

    Make each repair before you take the next finding: a later one may build on an earlier one.
    """
    yield from _disk(workspace)
    yield from _left_in_workspace(workspace)
    yield from _models(workspace)
    yield from strays.examine(workspace)
    if not workspace.project_names() and not strays.is_trash(workspace):
        return
    try:
        catalog = workspace.open_catalog()
    except UserError as error:
        yield Finding(
            str(error),
            "move the file away (keep it) and run `sid reindex`, which builds a new one from the projects' folders",
        )
        return
    with closing(catalog):
        yield from _catalog(catalog)
        yield from strays.of_trash(workspace, catalog)
        for name in workspace.project_names():
            try:
                yield from _project(workspace.project(name), catalog)
            except (UserError, OSError) as error:  # the other projects are looked at all the same
                yield Finding(f"project '{name}': {reason_of(error)}", "mend it, then run `sid doctor` again")


def _free_bytes(workspace: Workspace) -> int:
    existing = next(folder for folder in (workspace.folder, *workspace.folder.parents) if folder.exists())
    return shutil.disk_usage(existing).free


def _disk(workspace: Workspace) -> Iterator[Finding]:
    free = _free_bytes(workspace)
    if free < DISK_FLOOR:
        yield Finding(
            f"workspace {workspace.folder}: its disk has only {free / 2**30:.1f} GiB left",
            f"free some space: with less than {DISK_FLOOR / 2**30:.0f} GiB, training may be unable to save",
        )
    if workspace.folder.exists() and not os.access(workspace.folder, os.W_OK):
        yield Finding(f"workspace {workspace.folder}: it cannot be written", "give yourself write permission")


def _models(workspace: Workspace) -> Iterator[Finding]:
    """Check that the embedded base models and those of the projects are there and their weights' files are whole."""
    models = {name: specs.find(name) for name in specs.embedded_names()}
    for name in workspace.project_names():
        try:
            spec = workspace.project(name).base_model
        except UserError:
            continue  # reported with the project
        models[spec.name] = spec
    for spec in models.values():
        for path in _weights(spec):
            remedy = "install sid again" if spec.kind == "embedded" else "download the model again"
            try:
                with reading.safetensors(path, f"base model {spec.name}: {path}", remedy, "np") as file:
                    file.keys()
            except (UserError, OSError) as error:
                yield Finding(f"base model {spec.name}: {path} is damaged ({reason_of(error)})", remedy)


def _weights(spec: BaseModelSpec) -> list[Path]:
    if spec.kind == "hub":
        return []
    source = Path(spec.source)
    return [source] if spec.kind == "file" else sorted(source.rglob("*.safetensors"))


def _catalog(catalog: Catalog) -> Iterator[Finding]:
    damage = catalog.damage()
    if damage:
        yield Finding(
            f"catalog {catalog.url}: damaged ({damage})",
            "move the file away (keep it) and run `sid reindex`, which builds a new one from the projects' folders",
        )


def _project(project: Project, catalog: Catalog) -> Iterator[Finding]:
    try:
        images.open_picture(project.original)
        _ = project.settings
    except UserError as error:
        yield Finding(f"project '{project.name}': {error}", "fix it; no generation can run before that")
    if running.is_running(project):
        return  # everything below changes while it runs
    yield from _stale_lease(project, catalog)
    yield from _half_renamed(project)
    yield from _left_behind(project)
    yield from _unfinished_dataset(project, catalog)
    yield from _interrupted(project, catalog)
    yield from _files_without_rows(project, catalog)
    yield from _rows_without_files(project, catalog)


def _stale_lease(project: Project, catalog: Catalog) -> Iterator[Finding]:
    lease = leases.find(catalog, project.name)
    if lease is not None:

        def forget() -> str:
            leases.forget(catalog, project.name, lease)
            return f"removed the lease of '{project.name}'"

        yield Finding(
            f"project '{project.name}': a run on {lease.machine} (process {lease.process}) holds its lease, but no "
            "longer sends heartbeats",
            "remove the lease; the next run would also do so, after a while",
            forget,
        )


def _half_renamed(project: Project) -> Iterator[Finding]:
    old = renaming.former_name(project)
    if old is not None:

        def rename() -> str:
            changed = renaming.finish(project)
            return f"completed; {len(changed)} projects have recipes that name it"

        yield Finding(
            f"project '{project.name}': its renaming from '{old}' was interrupted",
            "name it anew in the recipes of the other projects",
            rename,
        )


def _left_behind(project: Project) -> Iterator[Finding]:
    yield from _partial(f"project '{project.name}'", _folders(project.folder))


def _left_in_workspace(workspace: Workspace) -> Iterator[Finding]:
    """Look for what killed processes left outside the projects: in the workspace's other folders, and by `sid new`."""
    yield from _partial(
        f"workspace {workspace.folder}", _folders(workspace.folder, without_inner=workspace.projects_folder)
    )


def _folders(top: Path, without_inner: Path | None = None) -> list[Path]:
    """Return a folder and all folders in it, except hidden ones, and those inside of `without_inner`."""
    found = []
    for folder, inner, _ in os.walk(top):
        found.append(Path(folder))
        inner[:] = [name for name in sorted(inner) if not name.startswith(".")]
        if found[-1] == without_inner:
            inner.clear()
    return found


def _partial(where: str, folders: list[Path]) -> Iterator[Finding]:
    left = sum(len(partial_files(folder)) for folder in folders)
    if left:

        def remove() -> str:
            return f"removed {sum(map(remove_partial_files, folders))} half-written files"

        yield Finding(f"{where}: {left} half-written files of a killed process", "remove them", remove)


def _unfinished_dataset(project: Project, catalog: Catalog) -> Iterator[Finding]:
    if pick_files.is_interrupted(project):

        def finish() -> str:
            with running.exclusively(project):
                pick_files.finish_interrupted(project, catalog)
            return "the files of its dataset are those that the catalog names"

        yield Finding(
            f"project '{project.name}': a process was killed while it changed the dataset",
            "let the files of the dataset follow the catalog, which has the old picks and captions or the new ones",
            finish,
        )


def _interrupted(project: Project, catalog: Catalog) -> Iterator[Finding]:
    for status in generations.statuses(catalog, project.name):
        if status.state.is_begun:
            yield Finding(
                f"project '{project.name}': generation {status.number} is recorded as {status.state}, but nothing runs",
                f"mark it as cancelled; `sid run {project.name}` resumes it",
                partial(_cancel, Generation(project, catalog, status.number)),
            )


def _cancel(killed: Generation) -> str:
    killed.set_state(GenerationState.CANCELLED, "its process was killed")
    return f"{killed} is cancelled"


def _files_without_rows(project: Project, catalog: Catalog) -> Iterator[Finding]:
    if generations.being_restored(catalog, project.name):
        yield Finding(
            f"project '{project.name}': `sid reindex` was stopped before it had finished",
            f"finish it (`sid reindex {project.name}`)",
            partial(_reindex, project, catalog),
        )
        return
    unknown = reindex.unknown_candidates(project, catalog)
    if unknown:
        count = sum(map(len, unknown.values()))
        yield Finding(
            f"project '{project.name}': {count} candidates in generations {', '.join(map(str, unknown))} are not in "
            "the catalog",
            f"add them to it (`sid reindex {project.name}`)",
            partial(_reindex, project, catalog),
        )


def _reindex(project: Project, catalog: Catalog) -> str:
    restored = reindex.reindex(project, catalog)
    return (
        f"'{project.name}': added {restored.generations} generations, {restored.snapshots} snapshots, "
        f"{restored.candidates} candidates and {restored.picks} picks to the catalog"
    )


def _rows_without_files(project: Project, catalog: Catalog) -> Iterator[Finding]:
    known = candidates.candidates(catalog, project.name, state=None)
    whole = [candidate for candidate in known if candidate.state is not CandidateState.BROKEN]
    lost = [candidate.id for candidate in whole if not (project.folder / candidate.path).is_file()]
    if lost:
        yield Finding(
            f"project '{project.name}': the pictures of {len(lost)} candidates are missing, such as {lost[0]}",
            "mark them as broken, so that they are not shown; `sid run` redraws those of the latest generation",
            partial(_mark_broken, project, catalog, lost),
        )
    for pick in picks.picks(catalog, project.name):
        if not (project.folder / pick.path).is_file():
            pictures = {candidate.id: candidate.path for candidate in known}
            yield _lost_pick(project, pick, pictures)
    published = [
        candidate
        for candidate in known
        if candidate.state is CandidateState.PUBLISHED and candidate.id not in set(lost)
    ]
    bare = [candidate for candidate in published if not (project.folder / candidate.thumbnail).is_file()]
    if bare:

        def make() -> str:
            made = sum(make_thumbnail(project, candidate) for candidate in bare)
            return f"made {made} of {len(bare)} thumbnails"

        yield Finding(
            f"project '{project.name}': {len(bare)} thumbnails are missing", "make them again", make
        )


def _mark_broken(project: Project, catalog: Catalog, ids: list[str]) -> str:
    candidate_states.call_broken(catalog, project.name, ids)
    return f"marked {len(ids)} candidates of '{project.name}' as broken"


def _lost_pick(project: Project, pick: picks.Pick, pictures: dict[str, Path]) -> Finding:
    what = f"project '{project.name}': the pick {pick.path} is missing, and the dataset needs it"
    source = pictures.get(pick.candidate_id)
    if source is None or not (project.folder / source).is_file():
        return Finding(what, "put the file back, or undo the pick (`sid undo`) and run `sid grow`")

    def copy() -> str:
        where = f"pick '{pick.candidate_id}'"
        inside = [reading.inside(project.folder, path, where) for path in (source, pick.path)]
        copy_file(*inside)
        return f"copied {pick.path} from its candidate"

    return Finding(what, "copy it from its candidate", copy)
