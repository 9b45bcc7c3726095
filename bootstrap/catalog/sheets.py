"""A project's sheets in the catalog: which file shows which parameters."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import delete, select

from bootstrap import reading
from bootstrap.catalog.generations import generation_row
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import GenerationRow, ProjectRow, SheetRow, now, remedy

_Name = Annotated[str, Field(max_length=64)]
_Values = Annotated[list[str | int | float], Field(max_length=10_000)]
_Axes: Any = Annotated[
    list[Annotated[list[_Name | _Values], Field(min_length=2, max_length=2)]],
    Field(min_length=1, max_length=3),
]


@dataclass(frozen=True)
class Sheet:
    """One prompt drawn over two or three parameters; see bootstrap.drawing.sheet."""

    generation: int  # whose LoRA drew it
    path: Path  # of the PNG, relative to the project's folder
    axes: dict[str, list[Any]]  # {parameter: its values}: across, down, and in blocks if there is a third
    prompt: str  # "": the project's caption

    @property
    def title(self) -> str:
        """A readable title: the parameters and the prompt."""
        return f"{' by '.join(self.axes)}: {self.prompt or 'its caption'}"


def note(catalog: Catalog, project: str, sheet: Sheet) -> None:
    """Record a sheet whose file exists; it replaces an earlier record of the same file."""
    with catalog.write() as session:
        generation = generation_row(session, project, sheet.generation)
        path = sheet.path.as_posix()
        row = session.scalar(
            select(SheetRow).where(SheetRow.generation_id == generation.id, SheetRow.path == path)
        )
        if row is None:
            row = SheetRow(generation_id=generation.id, path=path)
            session.add(row)
        # JSON keeps the order of a list; not every database keeps that of an object
        row.axes, row.prompt = [[name, values] for name, values in sheet.axes.items()], sheet.prompt
        row.drawn_at = now()


def of_project(catalog: Catalog, project: str) -> list[Sheet]:
    """Return a project's sheets, the latest first."""
    with catalog.read() as session:
        rows = session.execute(
            select(SheetRow, GenerationRow.number).join(GenerationRow).join(ProjectRow)
            .where(ProjectRow.name == project).order_by(SheetRow.drawn_at.desc(), SheetRow.id.desc())
        ).all()  # fmt: skip
    where, advice = "catalog: the axes of a sheet", remedy()
    return [
        Sheet(number, Path(row.path), axes_of(row.axes, where, advice), row.prompt) for row, number in rows
    ]


def axes_of(stored: Any, where: str, what_to_do: str) -> dict[str, list[Any]]:
    """Return the axes of a sheet as the catalog and its PNG store them: [[parameter, [value, ...]], ...].

    Raises:
        UserError: they are not of that form.
    """
    checked = reading.shaped(_Axes, stored, where, what_to_do)
    return {axis[0]: axis[1] for axis in checked if isinstance(axis[0], str) and isinstance(axis[1], list)}


def forget(catalog: Catalog, project: str, sheet: Sheet) -> None:
    """Remove the record of a sheet whose file is gone."""
    with catalog.write() as session:
        generation = generation_row(session, project, sheet.generation)
        session.execute(
            delete(SheetRow).where(
                SheetRow.generation_id == generation.id, SheetRow.path == sheet.path.as_posix()
            )
        )
