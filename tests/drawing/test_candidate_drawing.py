"""The drawing station: missing pictures are drawn, existing ones stay."""

from pathlib import Path

import imagehash
import making
import pytest
import rows
import torch
from PIL import Image

from bootstrap.catalog import Catalog, candidate_states, generations, trainings
from bootstrap.catalog.candidates import candidates
from bootstrap.catalog.trainings import Snapshot
from bootstrap.drawing.candidate_drawing import lora_paths
from bootstrap.loop import generation
from bootstrap.lora import kohya
from bootstrap.models.family import BaseModel
from bootstrap.project import renaming
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.shots import LoraUse
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


def test_the_lora_of_a_project_that_was_renamed_is_found(project: Project, catalog: Catalog) -> None:
    """A shot has the name that the LoRA's project had when it was drawn."""
    pear = making.make_project(project.workspace.folder.parent, "pear")
    for owner, name in ((project, "own"), (pear, "pears")):
        generations.begin(catalog, owner.name)
        trainings.begin(catalog, owner.name, 1, name[0] * 64, {}, [])
        snapshot = Snapshot(name[0] * 64, 4, Path(f"generation-01/{name}.safetensors"), "a" * 64, 0.1)
        trainings.add_snapshot(catalog, owner.name, snapshot, 4, [])
        (owner.folder / snapshot.path).parent.mkdir()
        (owner.folder / snapshot.path).write_bytes(b"a LoRA")
    renaming.rename(project.workspace, "pear", "fig", catalog)
    use = LoraUse("pears", "p" * 64, 4, 1.0, source="pear")
    of_apple = Generation(project, catalog, 1)
    training = of_apple.training()
    assert training is not None
    paths = lora_paths(of_apple, training, [making.shot(1, loras=(use,))])
    assert paths == {use: project.workspace.project("fig").folder / "generation-01/pears.safetensors"}
