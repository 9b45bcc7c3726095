"""The files of a training's snapshots: kohya's metadata, and the same bytes however often a file is saved."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from safetensors import safe_open

from bootstrap.catalog import Catalog
from bootstrap.loop import generation
from bootstrap.models.family import BaseModel
from bootstrap.progress import Progress, silent
from bootstrap.project import editing
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Workspace, create
from bootstrap.upkeep import reindex

SETTINGS = ("repeats=2", "epochs=2", "train_batch_size=1", "network_dim=2", "network_alpha=2")
RECIPES = '[[recipe]]\nkind = "vary"\ncount = 1\nsnapshot = 1\n'


def begun(folder: Path, originals: Path, *settings: str) -> Generation:
    """Begin generation 1 of a small project."""
    caption = "woman, red apple, teal wall"
    project = create(Workspace(folder), "badge", originals / "badge.png", caption, recipes=RECIPES)
    editing.set_values(project, [f"training.{setting}" for setting in (*SETTINGS, *settings)])
    return generation.prepare(project, Catalog(project.workspace.catalog_url))


def files(begun: Generation) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(begun.folder.glob("training-*/*.safetensors"))}


def metadata(begun: Generation, epoch: int) -> dict[str, str]:
    (path,) = begun.folder.glob(f"training-*/*-{epoch:06d}.safetensors")
    with safe_open(path, framework="np") as file:
        return dict(file.metadata())


@pytest.fixture(scope="module")
def trained(
    papertown: BaseModel, tmp_path_factory: pytest.TempPathFactory, originals: Path
) -> Iterator[Generation]:
    small = begun(tmp_path_factory.mktemp("trained"), originals)
    generation.train(small, silent)
    yield small
    small.catalog.close()


def test_saved_again_or_by_a_training_that_was_interrupted_a_file_is_the_same(trained: Generation) -> None:
    before = files(trained)
    assert len(before) == 2

    def stopped(progress: Progress) -> None:
        if progress.done == 3:  # in the second epoch
            raise KeyboardInterrupt

    for path in trained.folder.glob("training-*/*.safetensors"):
        path.unlink()
    with pytest.raises(KeyboardInterrupt):
        generation.train(trained, stopped)
    first, state = sorted(files(trained))
    assert first == min(before)
    assert state == "state.safetensors"
    generation.train(trained, silent)
    assert files(trained) == before


def test_a_catalog_that_was_rebuilt_still_knows_when_a_training_began(trained: Generation) -> None:
    before = files(trained)
    trained.catalog.close()
    for path in trained.project.workspace.folder.glob("catalog.sqlite*"):
        path.unlink()
    catalog = Catalog(trained.project.workspace.catalog_url)
    reindex.reindex(trained.project, catalog)
    for path in trained.folder.glob("training-*/*-000002.safetensors"):
        path.unlink()
    generation.train(Generation(trained.project, catalog, 1), silent)
    assert files(trained) == before
    catalog.close()


def test_equal_trainings_differ_only_in_when_they_began(
    trained: Generation, tmp_path: Path, originals: Path
) -> None:
    again = begun(tmp_path, originals)
    generation.train(again, silent)
    first, second = metadata(trained, 2), metadata(again, 2)
    assert first.keys() == second.keys()
    differing = {key for key in first if first[key] != second[key]}
    assert differing <= {"ss_training_started_at", "modelspec.date"}
    contents = []
    for whole in (files(trained), files(again)):
        (data,) = [data for name, data in whole.items() if name.endswith("-000002.safetensors")]
        contents.append(data[8 + int.from_bytes(data[:8], "little") :])
    assert contents[0] == contents[1]
    again.catalog.close()


def test_the_metadata_are_those_that_kohya_writes(trained: Generation) -> None:
    written = metadata(trained, 1)
    assert written["ss_mixed_precision"] in ("no", "fp16", "bf16")  # as it was, not as it was asked for
    assert written["ss_sd_model_name"] == "papertown"
    assert "ss_sd_model_hash" not in written  # a folder has none
    assert len(written["ss_new_sd_model_hash"]) == 64
    assert (written["ss_enable_bucket"], written["ss_bucket_info"]) == ("False", "null")
    assert (written["ss_min_bucket_reso"], written["ss_bucket_no_upscale"]) == ("None", "False")
    assert "ss_network_args" not in written
    assert written["ss_zero_terminal_snr"] == "True"  # as Paper Town was trained
    assert (written["ss_batch_size_per_device"], written["ss_total_batch_size"]) == ("1", "1")
    assert written["ss_num_batches_per_epoch"] == "2"
    assert written["ss_clip_skip"] == "None"
    assert "modelspec.encoder_layer" not in written
    began = datetime.fromisoformat(written["modelspec.date"])
    assert began.tzinfo is not None
    assert abs(began.timestamp() - float(written["ss_training_started_at"])) < 1


def test_the_metadata_follow_the_settings(papertown: BaseModel, tmp_path: Path, originals: Path) -> None:
    """Steps instead of epochs, a layer of the text encoder, a LoCon, a larger batch."""
    other = begun(
        tmp_path,
        originals,
        "max_train_steps=3",
        "clip_skip=2",
        "conv_dim=2",
        "train_batch_size=2",
        "repeats=4",
    )
    generation.train(other, silent)
    written = metadata(other, 2)
    assert (
        written["ss_num_batches_per_epoch"] == "2"
    )  # of the dataset, not the steps of a part of the training
    assert (written["ss_max_train_steps"], written["ss_num_epochs"]) == ("3", "2")
    assert (written["ss_clip_skip"], written["modelspec.encoder_layer"]) == ("2", "2")
    assert json.loads(written["ss_network_args"]) == {"conv_dim": "2", "conv_alpha": "1"}
    assert (written["ss_batch_size_per_device"], written["ss_total_batch_size"]) == ("2", "2")
    other.catalog.close()
