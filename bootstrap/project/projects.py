"""Workspace and projects: their paths, and how a project is created and opened."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from PIL import Image

from bootstrap import captions, images, reading
from bootstrap.commands import command
from bootstrap.errors import MachineError, UserError, is_wrong_path
from bootstrap.files import make_folder, path_of, remove_partial_files, whole_folder, write_text
from bootstrap.models import specs
from bootstrap.models.family import BaseModelSpec
from bootstrap.project import identity, names, prompt_checks, settings, template
from bootstrap.project.names import check_name, check_new_name
from bootstrap.project.settings import Settings

if TYPE_CHECKING:
    from bootstrap.catalog import Catalog

_named: ContextVar[Path | None] = ContextVar("named", default=None)
_LOCK = ".new.lock"  # of the one process that makes or renames a project
_LOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Workspace:
    """The folder that holds the catalog and the projects."""

    folder: Path

    @classmethod
    def locate(cls, folder: Path | str | None = None) -> "Workspace":
        """Return the workspace: `folder`, else that of `named`, else $SID_WORKSPACE, else ./sid-workspace.

        Raises:
            UserError: the path is empty, leads to a file, or leads nowhere.
        """
        if folder is None:
            folder = _named.get() or os.environ.get("SID_WORKSPACE") or "sid-workspace"
            what = "SID_WORKSPACE"
        else:
            what = "--workspace"
        path = path_of(folder, what)
        try:
            resolved = path.resolve()
            nearest = next(path for path in (resolved, *resolved.parents) if path.exists())
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            reason = getattr(error, "strerror", None) or "its links lead in a circle"
            raise UserError(f"{what} {folder}: no folder can be there ({reason}); name another one") from None
        if not nearest.is_dir():
            raise UserError(f"{what} {folder}: {nearest} is a file; name a folder, or one to be made")
        return cls(resolved)

    @property
    def catalog_url(self) -> str:
        """SQLAlchemy URL of the catalog: $SID_CATALOG_URL, else a SQLite file in the workspace."""
        return os.environ.get("SID_CATALOG_URL") or f"sqlite:///{self.folder / 'catalog.sqlite'}"

    @property
    def projects_folder(self) -> Path:
        """The folder with one folder for each project."""
        return self.folder / "projects"

    def open_catalog(self) -> "Catalog":
        """Open the catalog, which follows folders of projects that were renamed, moved or copied by hand.

        Raises:
            UserError: see Catalog and identity.settle.
        """
        from bootstrap.catalog import Catalog  # takes a while to import, and not every verb needs it

        catalog = Catalog(self.catalog_url)
        try:
            identity.settle(catalog, self.projects_folder)
        except BaseException:
            catalog.close()
            raise
        return catalog

    def project_names(self) -> list[str]:
        """Return the names of all projects, sorted; what else is in their folder is left out, see strays."""
        return names.of_projects(self.projects_folder)

    def strays(self) -> list[names.Stray]:
        """Return what is in the folder of the projects and is none."""
        return list(names.strays(self.projects_folder))

    def project(self, name: str) -> "Project":
        """Return the project of that name.

        Raises:
            UserError: there is none.
        """
        project = Project(self, check_name(name))
        if not names.is_project(self.projects_folder, name):
            known = ", ".join(self.project_names()) or f"none yet; create one with `{command('new')}`"
            of_name = [f"; {stray}" for stray in self.strays() if stray.path.name == name]
            raise UserError(
                f"project '{name}': not in workspace {self.folder} (its projects: {known})" + "".join(of_name)
            )
        return project

    @contextmanager
    def changing_projects(self, wait: float = _LOCK_SECONDS) -> Iterator[None]:
        """Keep other processes from making, renaming and deleting projects until the block ends.

        Raises:
            UserError: another process has been doing so for `wait` seconds; or the folder cannot be written.
        """
        lock = FileLock(self.projects_folder / _LOCK)
        try:
            make_folder(self.projects_folder)
            lock.acquire(timeout=wait)
        except Timeout:
            raise UserError(
                f"workspace {self.folder}: another process is making, renaming or deleting a project; try again"
            ) from None
        except OSError as error:
            raise _unwritable(self, error) from None
        try:
            yield
        finally:
            lock.release()


@contextmanager
def named(folder: Path | str | None) -> Iterator[None]:
    """Within the block, `Workspace.locate()` returns this workspace, that of the command line; None: no change."""
    token = _named.set(Path(folder) if folder else _named.get())
    try:
        yield
    finally:
        _named.reset(token)


@dataclass(frozen=True)
class Project:
    """One subject being bootstrapped: its folder and settings."""

    workspace: Workspace
    name: str
    override: tuple[Settings, BaseModelSpec] | None = field(default=None, compare=False, repr=False)
    """Settings and base model instead of those in project.toml; see with_settings."""

    @property
    def folder(self) -> Path:
        """The folder of the project."""
        return self.workspace.projects_folder / self.name

    @property
    def toml(self) -> Path:
        """The file with the settings."""
        return self.folder / names.SETTINGS

    @property
    def original(self) -> Path:
        """The original, an RGB PNG."""
        return self.folder / "original.png"

    @property
    def dataset_folder(self) -> Path:
        """The folder of the picks: each a PNG with its caption in a .txt beside it."""
        return self.folder / "dataset"

    @property
    def lock_file(self) -> Path:
        """The lock (of `filelock`) of the one process that works on a generation of this project."""
        return self.folder / ".generation.lock"

    def generation_folder(self, number: int) -> Path:
        """Return the folder of a generation, numbered from 1."""
        return self.folder / f"generation-{number:02d}"

    @cached_property
    def base_model(self) -> BaseModelSpec:
        """The base model that the settings name."""
        return self.settings_and_base[1]

    @cached_property
    def settings(self) -> Settings:
        """The settings: project.toml overrides the base model's defaults, which override the method's."""
        return self.settings_and_base[0]

    @cached_property
    def settings_and_base(self) -> tuple[Settings, BaseModelSpec]:
        """The settings and base model of project.toml, read and checked once, or those of with_settings.

        Raises:
            UserError: the file is not valid TOML, has a wrong key or value, or names an unknown base model.
        """
        return self.override or read_settings(self.toml)

    def with_settings(self, settings: Settings, base: BaseModelSpec) -> "Project":
        """Return this project with other settings; project.toml stays as it is."""
        return replace(self, override=(settings, base))


def read_settings(path: Path) -> tuple[Settings, BaseModelSpec]:
    """Read a project.toml and find its base model.

    Raises:
        UserError: one line that names the file, the key and the fix.
    """
    raw = reading.toml_file(path, str(path))
    section = raw.get("project")
    name = section.get("base_model", "papertown") if isinstance(section, dict) else "papertown"
    if not isinstance(name, str):
        raise UserError(f"{path}: 'project.base_model' must be a text in quotes (it is {name!r})")
    base = specs.find(name)
    parsed = settings.parse(with_defaults(base.defaults, raw), str(path))
    specs.check(base, parsed.model_dump(), str(path))
    prompt_checks.check(parsed, base, str(path))
    return parsed, specs.predicting(base, parsed.project.prediction_type)


def with_defaults(defaults: Mapping[str, Mapping[str, Any]], raw: dict[str, Any]) -> dict[str, Any]:
    """Return a project.toml's values, completed with the base model's defaults."""
    merged = dict(raw)
    for section, values in defaults.items():
        written = raw.get(section, {})
        if isinstance(written, dict):  # if not, settings.parse reports it
            merged[section] = {**values, **written}
    return merged


def create(
    workspace: Workspace,
    name: str,
    image: Path,
    caption: str,
    base: str = "papertown",
    recipes: str | None = None,
) -> Project:
    """Create a project from one picture and its caption: its whole folder, or nothing.

    Args:
        image: the original, in any format that Pillow reads.
        caption: tags separated by commas.
        base: an embedded base model's name, a diffusers folder, a .safetensors file or a hub id.
        recipes: TOML text of `[[recipe]]` tables instead of the usual ones.

    Raises:
        UserError: see check_name, images.open_picture, specs.find and settings.parse; or the name is taken.
    """
    project = Project(workspace, check_new_name(name, workspace.projects_folder))
    check_free(project)
    try:
        tags = captions.read(caption)
    except ValueError as error:
        raise UserError(f"caption: {error}") from None
    if not tags:
        raise UserError("caption: it is empty; describe the picture with tags separated by commas")
    spec = specs.find(base)
    picture = images.open_picture(image)
    base_in_toml = spec.name if spec.kind in ("embedded", "hub") else spec.source
    text = template.render(tags, base_in_toml, spec.defaults, recipes)
    raw = reading.parse_toml(text, "project.toml")
    parsed = settings.parse(with_defaults(spec.defaults, raw), "project.toml")
    specs.check(spec, parsed.model_dump(), "project.toml")
    prompt_checks.check(parsed, spec, "project.toml")
    specs.predicting(spec, parsed.project.prediction_type)
    from bootstrap.catalog import Catalog, identities
    from bootstrap.catalog.store import exists

    with workspace.changing_projects():
        remove_partial_files(workspace.projects_folder)
        check_new_name(name, workspace.projects_folder)
        check_free(project)
        if not exists(workspace.catalog_url):
            _write_folder(project, picture, text)
            return project
        with closing(Catalog(workspace.catalog_url)) as catalog:
            identities.set_aside(catalog, name)  # before the folder is there: a row is a removed project's
            _write_folder(project, picture, text)
            identity.settle(catalog, workspace.projects_folder)
    return project


def check_free(project: Project) -> None:
    """Check that a new project can have its folder.

    Raises:
        UserError: something other than an empty folder is there.
    """
    folder = project.folder
    if names.is_project(project.workspace.projects_folder, project.name):
        raise UserError(f"project '{project.name}': already exists, at {folder}; choose another name")
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise UserError(
            f"project '{project.name}': {folder} is there already and is no project; move it away, or choose another "
            "name"
        )


def _write_folder(project: Project, picture: Image.Image, text: str) -> None:
    try:
        make_folder(project.workspace.projects_folder)  # stays if the rest fails
        with whole_folder(project.folder) as new:
            picture.save(new / project.original.name)
            write_text(new / names.SETTINGS, text)
            identity.give(new)
    except OSError as error:
        raise _unwritable(project.workspace, error) from None


def _unwritable(workspace: Workspace, error: OSError) -> UserError:
    kind = UserError if is_wrong_path(error) else MachineError
    return kind(f"workspace {workspace.folder}: cannot be written ({error})")
