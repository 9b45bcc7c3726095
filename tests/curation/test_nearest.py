"""The pick that is shown beside a candidate."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rows
from browser import populate

from bootstrap.catalog import Catalog, candidates, picks
from bootstrap.catalog.picks import Pick
from bootstrap.curation.nearest import nearest_picks
from bootstrap.project.projects import Project


@pytest.fixture
def made(tmp_path: Path) -> Project:
    return populate.make_project(tmp_path)


@pytest.fixture
def catalog(made: Project) -> Iterator[Catalog]:
    with closing(Catalog(made.workspace.catalog_url)) as opened:
        yield opened


def look(
    catalog: Catalog, candidate_id: str, *vector: float, embedder: str = "clip", closeness: float = 0.0
) -> None:
    unit = np.array(vector) / np.linalg.norm(vector)
    (row,) = [row.id for row in rows.read(catalog, "candidate") if row.shot_id == candidate_id]
    rows.add(
        catalog, "feature", candidate_id=row, embedder=embedder, vector=unit.astype(np.float16).tobytes()
    )
    rows.change(catalog, "candidate", [candidate_id], closeness=closeness)


def pick(made: Project, catalog: Catalog, *ids: str) -> None:
    paths = candidates.paths(catalog, made.name, ids)
    picks.apply(
        catalog, made.name, 1, [Pick(candidate_id, paths[candidate_id], "woman") for candidate_id in ids], []
    )


def test_the_nearest_pick_is_found_where_it_is_nearer_than_the_original(
    made: Project, catalog: Catalog
) -> None:
    north, east, by_north, by_east, near_original, other_kind, unseen = populate.add_generation(
        made, 7, thumbnails=False
    )
    look(catalog, north, 0, 1)
    look(catalog, east, 1, 0)
    look(catalog, by_north, 0.2, 1, closeness=0.5)
    look(catalog, by_east, 1, 0.1, closeness=-0.2)
    look(catalog, near_original, 1, 1, closeness=0.9)  # 0.71 to either pick
    look(catalog, other_kind, 0, 1, embedder="another")
    all_candidates = candidates.candidates(catalog, made.name)
    assert nearest_picks(catalog, made.name, all_candidates) == {}  # the dataset has the original alone
    pick(made, catalog, north, east)
    assert nearest_picks(catalog, made.name, all_candidates) == {by_north: north, by_east: east}
    assert nearest_picks(catalog, "another project", all_candidates) == {}
    pick(made, catalog, by_north)  # a pick is not the nearest to itself
    assert nearest_picks(catalog, made.name, all_candidates)[by_north] == north
    assert unseen not in nearest_picks(catalog, made.name, all_candidates)
