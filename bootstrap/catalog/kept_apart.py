"""Pairs of pictures that are no duplicates, whatever they look like: a person said so."""

from sqlalchemy import select

from bootstrap.catalog.candidates import ORIGINAL
from bootstrap.catalog.generations import project_row
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, KeptApartRow, ProjectRow


def add(catalog: Catalog, project: str, one: str, other: str, reviewer: str) -> None:
    """Note for good that two pictures are no duplicates.

    Args:
        one, other: whole ids of candidates; one may be ORIGINAL.
    """
    first, second = sorted((one, other))
    with catalog.write() as session:
        owner = project_row(session, project)
        known = select(KeptApartRow).where(
            KeptApartRow.project_id == owner.id, KeptApartRow.one == first, KeptApartRow.other == second
        )
        if session.scalar(known) is None:
            session.add(KeptApartRow(project_id=owner.id, one=first, other=second, reviewer=reviewer))


def row_pairs(catalog: Catalog, project: str) -> set[tuple[int, int]]:
    """Return the pairs as the catalog's numbers of candidates, both ways round; the original is 0."""
    with catalog.read() as session:
        pairs = session.execute(
            select(KeptApartRow.one, KeptApartRow.other).join(ProjectRow).where(ProjectRow.name == project)
        ).all()
        names = {name for pair in pairs for name in pair}
        rows = session.execute(
            select(CandidateRow.shot_id, CandidateRow.id)
            .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
            .where(ProjectRow.name == project, CandidateRow.shot_id.in_(names))
        ).all()
    row_of = {ORIGINAL: 0} | {row.shot_id: row.id for row in rows}
    known = [(row_of[one], row_of[other]) for one, other in pairs if one in row_of and other in row_of]
    return {pair for one, other in known for pair in ((one, other), (other, one))}
