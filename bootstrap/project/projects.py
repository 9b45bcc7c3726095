"""Workspace and projects: their paths, and how a project is created and opened."""

import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from bootstrap import captions, images
from bootstrap.errors import UserError
from bootstrap.files import write_text
from bootstrap.models import specs
from bootstrap.models.family import BaseModelSpec
from bootstrap.project import settings, template
from bootstrap.project.settings import Settings

_named: ContextVar[Path | None] = ContextVar("named", default=None)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")


@dataclass(frozen=True)
class Workspace:
    """The folder that holds the catalog and the projects."""

    folder: Path

    @classmethod
    def locate(cls, folder: Path | str | None = None) -> "Workspace":
        """Return the workspace: `folder`, else that of `named`, else $SID_WORKSPACE, else ./sid-workspace."""
        chosen = folder or _named.get() or os.environ.get("SID_WORKSPACE") or "sid-workspace"
        return cls(Path(chosen).expanduser().resolve())

    @property
    def catalog_url(self) -> str:
        """SQLAlchemy URL of the catalog: $SID_CATALOG_URL, else a SQLite file in the workspace."""
        return os.environ.get("SID_CATALOG_URL") or f"sqlite:///{self.folder / 'catalog.sqlite'}"

    @property
    def projects_folder(self) -> Path:
        """The folder with one folder for each project."""
        return self.folder / "projects"

    def project_names(self) -> list[str]:
        """Return the names of all projects, sorted."""
        return sorted(path.parent.name for path in self.projects_folder.glob("*/project.toml"))

    def project(self, name: str) -> "Project":
        """Return the project of that name.

        Raises:
            UserError: there is none.
        """
        project = Project(self, check_name(name))
        if not project.toml.is_file():
            known = ", ".join(self.project_names()) or "none yet; create one with `sid new`"
            raise UserError(f"project '{name}': not in workspace {self.folder} (its projects: {known})")
        return project


@contextmanager
def named(folder: Path | None) -> Iterator[None]:
    """Within the block, `Workspace.locate()` returns this workspace, that of the command line; None: no change."""
    token = _named.set(folder or _named.get())
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
        return self.folder / "project.toml"

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
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None
    section = raw.get("project")
    name = section.get("base_model", "papertown") if isinstance(section, dict) else "papertown"
    if not isinstance(name, str):
        raise UserError(f"{path}: 'project.base_model' must be a text in quotes (it is {name!r})")
    base = specs.find(name)
    parsed = settings.parse(with_defaults(base.defaults, raw), str(path))
    specs.check(base, parsed.model_dump(), str(path))
    return parsed, specs.predicting(base, parsed.project.prediction_type)


def with_defaults(defaults: Mapping[str, Mapping[str, Any]], raw: dict[str, Any]) -> dict[str, Any]:
    """Return a project.toml's values, completed with the base model's defaults."""
    merged = dict(raw)
    for section, values in defaults.items():
        written = raw.get(section, {})
        if isinstance(written, dict):  # if not, settings.parse reports it
            merged[section] = {**values, **written}
    return merged


def check_name(name: str) -> str:
    """Return a project's name if every operating system accepts it as a folder's name.

    Raises:
        UserError: it is empty, ends in a dot, or has characters other than letters, digits, space and `_ . -`.
    """
    if not _NAME.fullmatch(name) or ".." in name or name.endswith((".", " ")):
        raise UserError(
            f"project name '{name}': use 1 to 64 letters, digits, spaces, '_', '-' or '.', first a letter or digit"
        )
    return name


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
    project = Project(workspace, check_name(name))
    if project.folder.exists():
        raise UserError(f"project '{name}': already exists, at {project.folder}; choose another name")
    tags = captions.parse(caption)
    if not tags:
        raise UserError("caption: it is empty; describe the picture with tags separated by commas")
    spec = specs.find(base)
    picture = images.open_picture(image)
    base_in_toml = spec.name if spec.kind in ("embedded", "hub") else spec.source
    text = template.render(tags, base_in_toml, spec.defaults, recipes)
    settings.parse(with_defaults(spec.defaults, tomllib.loads(text)), "project.toml")
    _write_folder(project, picture, text)
    return project


def _write_folder(project: Project, picture: Image.Image, text: str) -> None:
    partial = project.folder.with_name(f".sid-partial-{project.name}")
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
    try:
        partial.mkdir(parents=True)
        picture.save(partial / "original.png")
        write_text(partial / "project.toml", text)
        partial.rename(project.folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(f"workspace {project.workspace.folder}: cannot be written ({error})") from None
