"""The drawing station: missing pictures are drawn, existing ones stay."""

from pathlib import Path

import imagehash
import pytest
import rows
import torch
from PIL import Image

from bootstrap.catalog import Catalog, candidate_states, trainings
from bootstrap.catalog.candidates import candidates
from bootstrap.loop import generation
from bootstrap.lora import kohya
from bootstrap.models.family import BaseModel
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from tests.drawing.small import small_trained_project


@pytest.fixture(scope="module")
def drawn(papertown: BaseModel, originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = small_trained_project(tmp_path_factory.mktemp("draw"), originals)
    catalog = Catalog(project.workspace.catalog_url)
    generation.draw(Generation(project, catalog, 1))
    generation.curate(Generation(project, catalog, 1))
    generation.publish(Generation(project, catalog, 1))
    return project


def test_a_lost_and_a_broken_picture_come_back(drawn: Project) -> None:
    catalog = Catalog(drawn.workspace.catalog_url)
    before = candidates(catalog, drawn.name, state=None)
    lost, broken, intact = (drawn.folder / candidate.path for candidate in before[:3])
    pictures = [path.read_bytes() for path in (lost, broken, intact)]
    time_of_intact = intact.stat().st_mtime_ns
    lost.unlink()
    broken.write_bytes(pictures[1][:100])
    candidate_states.call_broken(catalog, drawn.name, [before[1].id])
    generation.draw(Generation(drawn, catalog, 1))
    assert [path.read_bytes() for path in (lost, broken, intact)] == pictures
    assert intact.stat().st_mtime_ns == time_of_intact
    after = candidates(catalog, drawn.name, state=None)
    assert [candidate.id for candidate in after] == [candidate.id for candidate in before]
    assert [candidate.state for candidate in after[:2]] == [
        before[0].state,
        "drawn",
    ]  # the broken one is curated again


def test_pictures_are_hashed_while_they_are_drawn(drawn: Project) -> None:
    catalog = Catalog(drawn.workspace.catalog_url)
    candidate_rows = rows.read(catalog, "candidate")
    assert candidate_rows
    for row in candidate_rows:
        picture = Image.open(drawn.folder / row.path)
        assert row.image_hash == str(imagehash.phash(picture))
        assert row.quality is not None and row.texture is not None


def test_nothing_is_drawn_twice(drawn: Project) -> None:
    catalog = Catalog(drawn.workspace.catalog_url)
    times = {path: path.stat().st_mtime_ns for path in drawn.folder.rglob("*.png")}
    generation.draw(Generation(drawn, catalog, 1))
    assert {path: path.stat().st_mtime_ns for path in drawn.folder.rglob("*.png")} == times


def test_a_deleted_snapshot_is_trained_again(drawn: Project) -> None:
    catalog = Catalog(drawn.workspace.catalog_url)
    training = trainings.of_generation(catalog, drawn.name, 1)
    assert training is not None
    path = drawn.folder / training.snapshots[0].path
    lora = kohya.read(path).modules
    path.unlink()
    generation.train(Generation(drawn, catalog, 1))
    again = kohya.read(path).modules
    assert all(torch.equal(again[name].up, lora[name].up) for name in lora)
