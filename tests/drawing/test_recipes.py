"""Every kind of recipe, really drawn: with the project's LoRA, another project's, a file, and another base model."""

import errno
import os
import shutil
import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tomlkit
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from bootstrap.catalog import Catalog
from bootstrap.catalog.candidates import Candidate, candidates
from bootstrap.cli.main import app
from bootstrap.drawing import denoising, infotext
from bootstrap.errors import UserError, machine_problem
from bootstrap.files import TEMPORARY_PREFIX
from bootstrap.loop import forecast, generation
from bootstrap.models import loading
from bootstrap.models.family import BaseModel
from bootstrap.models.specs import EMBEDDED_FOLDER, embedded_names
from bootstrap.planning import inputs
from bootstrap.progress import Progress
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, create
from bootstrap.recipes.registry import RECIPES
from flows import deadline, signals
from tests.drawing.small import small_trained_project

pytestmark = pytest.mark.slow
BOX = [40, 50, 60, 60]
INK = "papertown-ink"


@pytest.fixture(scope="module")
def made(papertown: BaseModel, originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A trained project with all that its recipes name: a mask, a LoRA file, another base model and another project."""
    project = small_trained_project(tmp_path_factory.mktemp("recipes"), originals)
    mask = Image.new("L", (128, 128))
    ImageDraw.Draw(mask).ellipse((8, 8, 40, 40), fill=255)
    mask.save(project.folder / "mask.png")
    snapshot = next(project.folder.glob("generation-01/training-*/*-000001.safetensors"))
    shutil.copyfile(snapshot, project.folder / "style.safetensors")
    if INK not in embedded_names():
        other = Path(other_model(project))
        shutil.copytree(EMBEDDED_FOLDER / "papertown", other)
        weights = next((other / "unet").glob("*.safetensors"))
        tensors = load_file(weights)
        save_file({name: value * 1.01 for name, value in tensors.items()}, weights)
    (project.folder / "embeddings").mkdir()
    width = papertown.text_encoders[0].config.hidden_size
    save_file(
        {"emb_params": torch.ones(2, width) * 0.1}, project.folder / "embeddings" / "zzgrey.safetensors"
    )
    second = create(project.workspace, "medal", originals / "medal.png", "man, gold medal")
    text = second.toml.read_text().split("# What to draw.")[0]
    second.toml.write_text(text + '[[recipe]]\nkind = "vary"\nsnapshot = 1\n')
    for key, value in {"repeats": 1, "train_batch_size": 1, "epochs": 1, "network_dim": 2}.items():
        change(second, "training", key, value)
    catalog = Catalog(project.workspace.catalog_url)
    generation.train(generation.prepare(second, catalog))
    return project


def other_model(project: Project) -> str:
    """Return the base model to restyle with: the embedded one, or else a slightly changed copy of the first."""
    return INK if INK in embedded_names() else str(project.workspace.folder / "other-model")


def change(project: Project, section: str, key: str, value: object) -> None:
    document = tomlkit.parse(project.toml.read_text())
    document[section][key] = value  # type: ignore[index]
    project.toml.write_text(tomlkit.dumps(document))


def with_recipes(project: Project, *recipes: dict[str, Any]) -> Project:
    """Return the project with these recipes, its settings read again."""
    document = tomlkit.parse(project.toml.read_text())
    document["recipe"] = tomlkit.item([{"count": 2, "snapshot": 2, **recipe} for recipe in recipes])
    project.toml.write_text(tomlkit.dumps(document))
    return Project(project.workspace, project.name)


def every_kind(project: Project) -> list[dict[str, Any]]:
    return [
        {"kind": "vary", "negative_prompt": "zzgrey"},
        {"kind": "eliminate"},
        {"kind": "add", "tags": ["hat"]},
        {"kind": "replace", "tag": "red apple", "by": ["blue ball"]},
        {"kind": "replicate"},
        {"kind": "reference", "prompts": ["beach"]},
        {"kind": "element", "tags": ["red apple"], "prompts": ["man, outdoors"]},
        {"kind": "resize", "aspect_ratios": ["2:3"]},
        {"kind": "restyle", "base_model": other_model(project), "negative_prompt": "zzgrey"},
        {
            "kind": "compose",
            "loras": [
                {"lora": "medal", "tags": ["gold medal"]},
                {"lora": "style.safetensors", "strength": 0.3},
            ],
        },
        {"kind": "hires", "hires_upscale": 1.25, "denoising_strength": 0.2},
        {
            "kind": "inpaint",
            "box": BOX,
            "mask_blur": 0,
            "rounds": [
                {"prompt": "woman, blue ball"},
                {"prompt": "woman, blue ball, sun", "mask": "mask.png"},
            ],
        },
        {"kind": "bootstrap", "aspects": [{"name": "place", "tags": ["beach", "forest"]}]},
    ]


@pytest.fixture(scope="module")
def drawn(made: Project) -> tuple[Project, dict[str, list[Candidate]]]:
    """All kinds, drawn; the candidates by kind."""
    project = with_recipes(made, *every_kind(made))
    catalog = Catalog(project.workspace.catalog_url)
    generation.draw(generation.prepare(project, catalog))
    by_kind: dict[str, list[Candidate]] = {}
    for candidate in candidates(catalog, project.name, state=None):
        by_kind.setdefault(candidate.shot.recipe, []).append(candidate)
    return project, by_kind


def pixels(project: Project, candidate: Candidate) -> np.ndarray:
    with Image.open(project.folder / candidate.path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.int16)


def test_every_kind_is_drawn(drawn: tuple[Project, dict[str, list[Candidate]]]) -> None:
    project, by_kind = drawn
    assert {kind: len(of_kind) for kind, of_kind in by_kind.items()} == dict.fromkeys(RECIPES, 2)
    for of_kind in by_kind.values():
        for candidate in of_kind:
            picture = pixels(project, candidate)
            assert picture.shape == (candidate.shot.height, candidate.shot.width, 3)
            assert picture.std() > 5
            assert infotext.shot_of(project.folder / candidate.path) == candidate.shot


def test_restyle_is_drawn_by_the_other_base_model(drawn: tuple[Project, dict[str, list[Candidate]]]) -> None:
    project, by_kind = drawn
    hashes = {candidate.shot.base_model_hash for of_kind in by_kind.values() for candidate in of_kind}
    assert len(hashes) == 2
    assert {candidate.shot.base_model for candidate in by_kind["restyle"]} == {other_model(project)}
    assert all(candidate.shot.embeddings for kind in ("vary", "restyle") for candidate in by_kind[kind])


def test_inpainting_leaves_the_original_outside_of_its_masks(
    drawn: tuple[Project, dict[str, list[Candidate]]],
) -> None:
    project, by_kind = drawn
    original = np.asarray(Image.open(project.original).convert("RGB"), dtype=np.int16)
    may_change = np.asarray(Image.open(project.folder / "mask.png")).copy() > 0
    may_change[BOX[1] : BOX[1] + BOX[3], BOX[0] : BOX[0] + BOX[2]] = True
    for candidate in by_kind["inpaint"]:
        changed = np.abs(pixels(project, candidate) - original).max(axis=2) > 0
        assert not changed[~may_change].any()
        assert changed[may_change].mean() > 0.5


def test_infotext_has_hires_and_every_lora_as_in_automatic1111(
    drawn: tuple[Project, dict[str, list[Candidate]]],
) -> None:
    project, by_kind = drawn
    with Image.open(project.folder / by_kind["hires"][0].path) as picture:
        fields = infotext.read(picture.info["parameters"]).fields
    of_hires = {key: fields[key] for key in fields if key.startswith(("Hires", "Denoising", "Size", "Steps"))}
    assert of_hires == {
        "Steps": "2", "Size": "128x128", "Denoising strength": "0.2", "Hires upscale": "1.25", "Hires steps": "2",
        "Hires upscaler": "Lanczos",
    }  # fmt: skip
    with Image.open(project.folder / by_kind["compose"][0].path) as picture:
        text = infotext.read(picture.info["parameters"])
    assert "<lora:medal-g01-000001:0.7> <lora:style:0.3>" in text.prompt
    assert [pair.split(":")[0] for pair in text.fields["Lora hashes"].split(", ")] == [
        "badge-g01-000002", "medal-g01-000001", "style"
    ]  # fmt: skip
    with Image.open(project.folder / by_kind["inpaint"][0].path) as picture:
        fields = infotext.read(picture.info["parameters"]).fields
    assert (fields["Denoising strength"], fields["Mask blur"]) == ("0.75", "0")


def test_a_lost_picture_of_any_kind_comes_back_the_same(
    drawn: tuple[Project, dict[str, list[Candidate]]],
) -> None:
    project, by_kind = drawn
    lost = [by_kind[kind][0] for kind in ("hires", "inpaint", "compose", "restyle", "resize")]
    before = [pixels(project, candidate) for candidate in lost]
    for candidate in lost:
        (project.folder / candidate.path).unlink()
    generation.draw(Generation(project, Catalog(project.workspace.catalog_url), 1))
    for candidate, picture in zip(lost, before, strict=True):
        assert np.abs(pixels(project, candidate) - picture).max() <= 2


def test_the_plan_counts_what_exists_and_estimates_the_rest_from_it(
    drawn: tuple[Project, dict[str, list[Candidate]]],
) -> None:
    project, _ = drawn
    catalog = Catalog(project.workspace.catalog_url)
    everything = forecast.of_next_run(project, catalog)
    assert [recipe.kind for recipe in everything.recipes] == list(RECIPES)
    assert {(recipe.shots, recipe.there) for recipe in everything.recipes} == {(2, 2)}
    assert (everything.generation, everything.missing, everything.disk) == (1, 0, 0)
    longer = with_recipes(project, *({**recipe, "count": 5} for recipe in every_kind(project)))
    try:
        more = forecast.of_next_run(longer, catalog)
        assert (more.shots, more.missing) == (5 * len(RECIPES), 3 * len(RECIPES))
        assert more.seconds is not None and more.seconds > 0 and more.measured == 2 * len(RECIPES)
        assert more.disk_measured and more.disk > 10_000
        output = (
            CliRunner()
            .invoke(app, ["--workspace", str(project.workspace.folder), "plan", project.name])
            .output
        )
        assert f"in all: {5 * len(RECIPES)} shots, {3 * len(RECIPES)} to draw" in output
        assert "such as: woman, hat, red apple" in output
        assert f"by the {2 * len(RECIPES)} candidates drawn before" in output
    finally:
        with_recipes(project, *every_kind(project))


def test_a_plan_before_the_first_training_says_what_it_cannot_know(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(loading, "hold", fail)
    fresh = create(made.workspace, "fresh", made.original, "woman, red apple")
    auto = with_recipes(
        fresh, {"kind": "vary", "snapshot": "auto", "count": 3}, {"kind": "replicate", "count": 2}
    )
    text = forecast.render("fresh", forecast.of_next_run(auto, Catalog(made.workspace.catalog_url)))
    assert "snapshot auto" in text
    assert "time: unknown" in text
    assert f"disk: {5 * 128 * 128 * 3 / 1000:.3g} kB (at most: uncompressed)" in text


def test_what_a_run_draws_is_what_the_plan_said(
    made: Project, drawn: tuple[Project, dict[str, list[Candidate]]]
) -> None:
    project, by_kind = drawn
    catalog = Catalog(project.workspace.catalog_url)
    ids = {candidate.id for of_kind in by_kind.values() for candidate in of_kind}
    assert set(forecast._drawn(project, catalog)) == ids


_BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"kind": "inpaint", "box": [100, 0, 40, 40], "rounds": [{"prompt": "x"}]},
        "reaches beyond the original",
    ),
    ({"kind": "inpaint", "mask": "no.png", "rounds": [{"prompt": "x"}]}, "there is no mask"),
    (
        {"kind": "inpaint", "mask": "large.png", "rounds": [{"prompt": "x"}]},
        "is 256x256, the original 128x128",
    ),
    ({"kind": "inpaint", "mask": "black.png", "rounds": [{"prompt": "x"}]}, "has no white"),
    ({"kind": "compose", "loras": [{"lora": "no.safetensors"}]}, "there is no such file"),
    ({"kind": "compose", "loras": [{"lora": "medl"}]}, "project 'medl'"),
    ({"kind": "compose", "loras": [{"lora": "medal", "tags": ["gold medl"]}]}, "did you mean 'gold medal'?"),
    ({"kind": "compose", "loras": [{"lora": "medal", "snapshot": 3}]}, "has snapshots [1], and no 3"),
    ({"kind": "compose", "loras": [{"lora": "medal", "generation": 2}]}, "no trained generation 2"),
    ({"kind": "compose", "loras": [{"lora": "fake.safetensors"}]}, "fake.safetensors"),
    ({"kind": "compose", "loras": [{"lora": "xl.safetensors"}]}, "is of Stable Diffusion XL"),
    ({"kind": "compose", "loras": [{"lora": "style.safetensors", "snapshot": 2}]}, "is a file: leave out"),
    ({"kind": "restyle", "base_model": "papertwon"}, "did you mean 'papertown'?"),
]


@pytest.mark.parametrize(("recipe", "message"), _BAD, ids=[message for _, message in _BAD])
def test_what_is_missing_or_does_not_fit_is_refused_before_anything_starts(
    made: Project, recipe: dict[str, Any], message: str
) -> None:
    Image.new("L", (256, 256), 255).save(made.folder / "large.png")
    Image.new("L", (128, 128)).save(made.folder / "black.png")
    (made.folder / "fake.safetensors").write_bytes(b"nothing of the kind")
    save_file({"lora_te2_x.lora_down.weight": torch.zeros(1, 1)}, made.folder / "xl.safetensors")
    before = made.toml.read_text()
    try:
        wrong = with_recipes(made, recipe)
        with pytest.raises(UserError) as raised:
            generation.prepare(wrong, Catalog(made.workspace.catalog_url))
        assert message in str(raised.value) and "\n" not in str(raised.value)
    finally:
        made.toml.write_text(before)


def test_what_was_drawn_before_ctrl_c_is_kept(
    made: Project, drawn: tuple[Project, dict[str, list[Candidate]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    del drawn  # first all kinds, then this
    project = with_recipes(made, {"kind": "vary", "count": 9, "strength": 0.33})
    catalog = Catalog(project.workspace.catalog_url)
    before = len(candidates(catalog, project.name, state=None))
    batches = 0
    really = denoising.draw_batch

    def interrupted(*args: Any) -> Any:
        nonlocal batches
        batches += 1
        if batches == 3:
            raise KeyboardInterrupt
        return really(*args)

    monkeypatch.setattr("bootstrap.drawing.engine.draw_batch", interrupted)
    reports: list[Progress] = []
    with pytest.raises(KeyboardInterrupt):
        generation.draw(Generation(project, catalog, 1), reports.append)
    after = candidates(catalog, project.name, state=None)
    assert len(after) == before + 4  # two batches of two
    assert all((project.folder / candidate.path).is_file() for candidate in after)
    assert reports[-1].done == 4


def test_a_picture_that_cannot_be_written_stops_the_run_and_has_no_row(
    made: Project, drawn: tuple[Project, dict[str, list[Candidate]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    del drawn
    project = with_recipes(made, {"kind": "vary", "count": 9, "strength": 0.44})
    catalog = Catalog(project.workspace.catalog_url)
    before = len(candidates(catalog, project.name, state=None))
    really, written = infotext.save_png, 0

    def full(*args: Any) -> None:
        nonlocal written
        written += 1
        if written == 4:
            raise OSError(28, "No space left on device")
        really(*args)

    monkeypatch.setattr(infotext, "save_png", full)
    with pytest.raises(OSError, match="No space left"):
        generation.draw(Generation(project, catalog, 1))
    after = candidates(catalog, project.name, state=None)
    assert len(after) == before + 2
    assert all((project.folder / candidate.path).is_file() for candidate in after)


def test_more_draws_as_many_again_once_all_are_drawn(made: Project, drawn: Any) -> None:
    del drawn
    project = with_recipes(made, {"kind": "vary", "count": 2, "strength": 0.31})
    catalog = Catalog(project.workspace.catalog_url)
    counts = [len(candidates(catalog, project.name, state=None))]
    for more in (True, True, False):  # first what is missing
        generation.draw(Generation(project, catalog, 1), more=more)
        counts.append(len(candidates(catalog, project.name, state=None)))
    assert [after - counts[0] for after in counts] == [0, 2, 4, 4]


@pytest.mark.parametrize("cause", ["deadline", "SIGTERM"])
def test_a_stopped_drawing_keeps_what_is_drawn_and_the_next_one_draws_the_rest(
    made: Project, drawn: Any, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    del drawn
    project = with_recipes(
        made, {"kind": "vary", "count": 5, "strength": 0.2 if cause == "deadline" else 0.25}
    )
    catalog = Catalog(project.workspace.catalog_url)
    before = {candidate.id for candidate in candidates(catalog, project.name, state=None)}
    now = 0.0
    monkeypatch.setattr(deadline, "time", SimpleNamespace(time=lambda: now))

    def stop_after_two(progress: Progress) -> None:
        nonlocal now
        if progress.done >= 2:
            now = 10.0
            if cause == "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)

    error = deadline.DeadlineReached if cause == "deadline" else KeyboardInterrupt
    report = deadline.stopping(stop_after_two, 9.0) if cause == "deadline" else stop_after_two
    with pytest.raises(error), signals.sigterm_as_ctrl_c():
        generation.draw(Generation(project, catalog, 1), report)
    kept = [
        project.folder / candidate.path
        for candidate in candidates(catalog, project.name, state=None)
        if candidate.id not in before
    ]
    assert 2 <= len(kept) < 5
    times = {path: path.stat().st_mtime_ns for path in kept}
    generation.draw(Generation(project, catalog, 1))
    assert {path: path.stat().st_mtime_ns for path in kept} == times
    assert len(candidates(catalog, project.name, state=None)) == len(before) + 5
    assert not list(project.folder.rglob(f"{TEMPORARY_PREFIX}*"))


def test_a_read_only_folder_is_reported_in_a_line_and_nothing_is_written(
    made: Project, drawn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated by the file system's error: for root, only the file system can make a folder read-only."""
    del drawn
    project = with_recipes(made, {"kind": "vary", "count": 2, "strength": 0.27})
    catalog = Catalog(project.workspace.catalog_url)
    before = {path for path in project.folder.rglob("*") if path.is_file()}

    def refuse(*_: object, dir: Path, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dir))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(OSError, match="Read-only") as raised:
        generation.draw(Generation(project, catalog, 1))
    line = machine_problem(raised.value)
    assert line is not None and "candidates: it cannot be read or written (Read-only file system)" in line
    assert {path for path in project.folder.rglob("*") if path.is_file()} == before


def test_gathering_twice_finds_the_same(made: Project) -> None:
    project = with_recipes(made, *every_kind(made))
    catalog = Catalog(project.workspace.catalog_url)
    assert inputs.gather(project, catalog) == inputs.gather(project, catalog)
