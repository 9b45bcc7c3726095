"""Rows of the catalog as they are: for what no code of sid does, or only a crash, an hour or another machine."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from bootstrap.catalog import Catalog
from bootstrap.catalog.tables import Table


def read(catalog: Catalog, table: str) -> list[Any]:
    """All rows of a table by their ids, with its columns as attributes."""
    there = Table.metadata.tables[table]
    with catalog.read() as session:
        return list(session.execute(sa.select(there).order_by(*there.primary_key)))


def change(catalog: Catalog, table: str, ids: Collection[str] | None = None, **values: Any) -> None:
    """Change all rows of a table, or those of the candidates with these ids."""
    there = Table.metadata.tables[table]
    change = sa.update(there).values(**values)
    with catalog.write() as session:
        session.execute(change if ids is None else change.where(there.c.shot_id.in_(ids)))


def add(catalog: Catalog, table: str, **values: Any) -> None:
    """Add a row."""
    with catalog.write() as session:
        session.execute(sa.insert(Table.metadata.tables[table]).values(**values))


def remove(catalog: Catalog, table: str) -> None:
    """Remove all rows of a table."""
    with catalog.write() as session:
        session.execute(sa.delete(Table.metadata.tables[table]))
