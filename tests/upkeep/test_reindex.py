"""A lost catalog comes back from the folder: what was drawn, trained and picked."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import PngImagePlugin
from safetensors.numpy import save_file

from bootstrap.catalog import candidates, generations, picks, trainings, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.dataset import growth
from bootstrap.drawing import infotext
from bootstrap.lora import kohya
from bootstrap.lora.kohya import LoraModule
from bootstrap.project.projects import Project
from bootstrap.shots import Shot
from bootstrap.training import record
from bootstrap.training.record import Record
from bootstrap.upkeep import reindex
from bootstrap.upkeep.reindex import Restored
from tests import making
from tests.sid_command import candidates as listed
from tests.sid_command import sid, small_project


def lose_catalog(made: Project) -> None:
    for path in made.workspace.folder.glob("catalog.sqlite*"):
        path.unlink()


def two_generations(folder: Path) -> tuple[Project, list[str]]:
    """Two generations with their shots in the files, two candidates of the first one picked."""
    made = making.make_project(folder)
    catalog = making.open_catalog(made)
    ids = making.add_published(made, catalog, 1, 6)
    sign(made, 1, [making.shot(1000 + index) for index in range(6)])
    verdicts.decide(catalog, made.name, ids[:2], Verdict.ACCEPT, "ann")
    growth.grow(made, catalog)
    making.add_published(made, catalog, 2, 3)
    sign(made, 2, [making.shot(2000 + index) for index in range(3)])
    catalog.close()
    return made, ids


def sign(made: Project, number: int, shots: list[Shot]) -> None:
    """Write the shots into their pictures, as drawing does."""
    for shot in shots:
        path = made.generation_folder(number) / "candidates" / f"{shot.id}.png"
        from PIL import Image

        with Image.open(path) as picture:
            picture.load()
        infotext.save_png(
            picture, path, shot, infotext.write(shot, "papertown", {"apple-g01-000004": "0" * 64})
        )


def seen(made: Project) -> list[tuple]:
    catalog = making.open_catalog(made)
    seen_candidates = [
        (
            candidate.id,
            candidate.generation,
            candidate.shot,
            candidate.state,
            candidate.duplicate_of,
            candidate.verdict,
        )
        for candidate in candidates.candidates(catalog, made.name, state=None)
    ]
    states = [(status.number, status.state) for status in generations.statuses(catalog, made.name)]
    in_dataset = picks.picks(catalog, made.name)
    catalog.close()
    return [*seen_candidates, *states, *in_dataset]


def test_candidates_states_and_picks_come_back(tmp_path: Path) -> None:
    made, _ = two_generations(tmp_path)
    before = seen(made)
    lose_catalog(made)
    catalog = making.open_catalog(made)
    assert reindex.reindex(made, catalog) == Restored(generations=2, snapshots=0, candidates=9, picks=2)
    catalog.close()
    assert seen(made) == before


def test_a_catalog_that_knows_everything_stays_as_it_is(tmp_path: Path) -> None:
    made, _ = two_generations(tmp_path)
    before = seen(made)
    catalog = making.open_catalog(made)
    assert reindex.reindex(made, catalog) == Restored()
    catalog.close()
    assert seen(made) == before


def test_what_is_no_candidate_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made, _ = two_generations(tmp_path)
    folder = made.generation_folder(1) / "candidates"
    making.scene(77).save(folder / f"{'a' * 16}.png")
    (folder / f"{'b' * 16}.png").write_bytes(b"no picture")
    making.scene(78).save(folder / "holiday.png")
    lose_catalog(made)
    catalog = making.open_catalog(made)
    assert reindex.reindex(made, catalog).candidates == 9
    catalog.close()
    warnings = [record.getMessage() for record in caplog.records]
    assert (
        sum("aaaa" in warning for warning in warnings) == sum("bbbb" in warning for warning in warnings) == 1
    )
    assert not any("holiday" in warning for warning in warnings)


def test_a_generation_keeps_the_later_of_two_trainings(tmp_path: Path) -> None:
    made, _ = two_generations(tmp_path)
    for age, name in ((20, "a"), (10, "b")):
        path = made.generation_folder(1) / f"training-{8 * name}" / "apple-g01-000001.safetensors"
        saved = Record(
            64 * name, {}, [{"picture": "0" * 64, "caption": "woman", "repeats": 1}], [1], 1, 1, 0.5, True
        )
        module = LoraModule(torch.zeros(1, 4), torch.zeros(4, 1), 1.0)
        kohya.write(path, {"lora_unet_x": module}, record.to_metadata(saved), torch.float16)
        os.utime(path, (time.time() - age, time.time() - age))
    catalog = making.open_catalog(made)
    for snapshots in (2, 0):
        assert reindex.reindex(made, catalog).snapshots == snapshots
        training = trainings.of_generation(catalog, made.name, 1)
        assert training is not None and training.training_id == 64 * "b" and training.finished
    catalog.close()


@pytest.mark.slow
def test_after_a_real_generation_nothing_is_trained_or_drawn_again(tmp_path: Path, originals: Path) -> None:
    made = small_project(tmp_path, originals)
    sid(tmp_path, "run", "badge")
    catalog = making.open_catalog(made)
    training = trainings.of_generation(catalog, "badge", 1)
    catalog.close()
    before = listed(tmp_path, "badge", "--all")
    lose_catalog(made)
    assert "1 generations, 4 snapshots, 10 candidates, 0 picks and 0 sheets" in sid(tmp_path, "reindex")
    assert listed(tmp_path, "badge", "--all") == before
    catalog = making.open_catalog(made)
    assert trainings.of_generation(catalog, "badge", 1) == training
    catalog.close()
    times = {path: path.stat().st_mtime_ns for path in made.folder.glob("generation-01/*/*.*g*")}
    sid(tmp_path, "run", "badge")
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert listed(tmp_path, "badge", "--all") == before


def test_candidates_that_are_not_what_they_record_are_left_out_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another shot's name, another size, ranges that no shot has, a link out of the project, a pipe."""
    made, ids = two_generations(tmp_path)
    folder = made.generation_folder(1) / "candidates"
    whole = json.loads(PngImagePlugin.PngImageFile(folder / f"{ids[0]}.png").info[infotext.SHOT_KEY])
    damaged = {**whole, "steps": 10**9}, {**whole, "width": "128"}, {**whole, "start": [[]]}, [whole], None
    for index, shot in enumerate(damaged):
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text(infotext.SHOT_KEY, json.dumps(shot))
        making.scene(1).save(folder / f"{index:016x}.png", pnginfo=chunks)
    (folder / f"{ids[5]}.png").rename(folder / f"{'c' * 16}.png")
    small = making.shot(1001)
    path = folder / f"{small.id}.png"
    infotext.save_png(making.scene(3, 64), path, small, "x")
    (tmp_path / "elsewhere.png").write_bytes((folder / f"{ids[4]}.png").read_bytes())
    (folder / f"{ids[4]}.png").unlink()
    (folder / f"{ids[4]}.png").symlink_to(tmp_path / "elsewhere.png")
    os.mkfifo(folder / f"{'d' * 16}.png")
    lose_catalog(made)
    catalog = making.open_catalog(made)
    assert reindex.reindex(made, catalog).candidates == 9 - 3
    catalog.close()
    warnings = [record.getMessage() for record in caplog.records]
    for name in [f"{index:016x}" for index in range(5)] + ["c" * 16, "d" * 16, ids[1], ids[4]]:
        assert sum(f"{name}.png" in warning for warning in warnings) == 1, name


def test_a_damaged_record_of_a_training_and_a_caption_are_left_out_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, ids = two_generations(tmp_path)
    lora = made.generation_folder(1) / "training-1" / "a.safetensors"
    lora.parent.mkdir()
    save_file({"a": np.ones(2, np.float32)}, lora, {record.KEY: '{"training_id": 7}'})
    (made.dataset_folder / f"{ids[0]}.txt").write_bytes(b"caf\xe9")
    lose_catalog(made)
    catalog = making.open_catalog(made)
    restored = reindex.reindex(made, catalog)
    catalog.close()
    assert (restored.snapshots, restored.candidates, restored.picks) == (0, 9, 1)
    warnings = [entry.getMessage() for entry in caplog.records]
    assert any("a.safetensors" in warning and "training_id" in warning for warning in warnings)
    assert any(f"{ids[0]}.txt" in warning and "UTF-8" in warning for warning in warnings)
