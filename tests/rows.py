"""Direct access to the catalog's rows, for what only a crash, a long wait or another machine would do to them."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from bootstrap.catalog import Catalog
from bootstrap.catalog.tables import Table


def read(catalog: Catalog, table: str) -> list[Any]:
    """Return all rows of a table in the order of their keys, with the columns as attributes."""
    target = Table.metadata.tables[table]
    with catalog.read() as session:
        return list(session.execute(sa.select(target).order_by(*target.primary_key)))


def change(catalog: Catalog, table: str, ids: Collection[str] | None = None, **values: Any) -> None:
    """Change all rows of a table, or those of the candidates with these ids."""
    target = Table.metadata.tables[table]
    change = sa.update(target).values(**values)
    with catalog.write() as session:
        session.execute(change if ids is None else change.where(target.c.shot_id.in_(ids)))


def add(catalog: Catalog, table: str, **values: Any) -> None:
    """Add a row."""
    with catalog.write() as session:
        session.execute(sa.insert(Table.metadata.tables[table]).values(**values))


def remove(catalog: Catalog, table: str) -> None:
    """Remove all rows of a table."""
    with catalog.write() as session:
        session.execute(sa.delete(Table.metadata.tables[table]))
