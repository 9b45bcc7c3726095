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
from pathlib import Path

from bootstrap import reading
from bootstrap.catalog.store import is_shared
from bootstrap.commands import command
from bootstrap.errors import UserError, reason_of
from bootstrap.files import DISK_FLOOR
from bootstrap.models import specs
from bootstrap.models.family import BaseModelSpec
from bootstrap.progress import Report, silent
from bootstrap.project.projects import Workspace
from bootstrap.upkeep import interruptions, project_check, strays
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


def examine(workspace: Workspace, report: Report = silent) -> Iterator[Finding]:
    """Check everything, the cheapest checks first, and yield the problems.

    Make each repair before you take the next finding: a later one may build on an earlier one.
    """
    yield from _disk(workspace)
    yield from interruptions.in_workspace(workspace)
    yield from _models(workspace)
    yield from strays.examine(workspace)
    if not workspace.project_names() and not strays.is_trash(workspace):
        return
    try:
        catalog = workspace.open_catalog()
    except UserError as error:
        yield Finding(str(error), _remedy(workspace.catalog_url))
        return
    with closing(catalog):
        damage = catalog.damage()
        if damage:  # nothing that it says can be relied on
            yield Finding(f"catalog {catalog.url}: damaged ({damage})", _remedy(catalog.url))
            return
        yield from strays.of_trash(workspace, catalog)
        for name in workspace.project_names():
            try:
                yield from project_check.examine(workspace.project(name), catalog, report)
            except (UserError, OSError) as error:  # the other projects are looked at all the same
                yield Finding(
                    f"project '{name}': {reason_of(error)}", f"mend it, then run `{command('doctor')}` again"
                )


def _remedy(url: str) -> str:
    if is_shared(url):
        return "start the database, or mend it from a backup of its own; SID_CATALOG_URL names it"
    rebuild = command("reindex")
    return (
        f"move the file away (keep it) and run `{rebuild}`, which builds a new one from the projects' folders"
    )


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
