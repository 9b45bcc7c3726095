"""The database of what exists and in which state: SQLite in the workspace, or PostgreSQL."""

from bootstrap.catalog.store import Catalog, DatabaseError, Unavailable

__all__ = ["Catalog", "DatabaseError", "Unavailable"]
