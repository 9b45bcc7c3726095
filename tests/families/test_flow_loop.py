"""The flow-matching families take a project through two generations, by the doors that a person uses."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

from bootstrap.catalog import Catalog, trainings, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.cli import main
from bootstrap.drawing import infotext
from bootstrap.loop import generation
from bootstrap.lora import kohya
from bootstrap.models import loading
from bootstrap.project.projects import Project, Workspace
from tests.families import tiny_transformers

CAPTION = "woman, red apple, blue blazer"
WRITERS: dict[str, Callable[[Path], Path]] = {
    "z-image": tiny_transformers.z_image,
    "flux2": tiny_transformers.flux2_klein,
}
RECIPES = """
[[recipe]]
kind = "vary"
count = 1
strength = 0.8
snapshot = "auto"

[[recipe]]
kind = "eliminate"
tags = ["red apple"]
count = 1
strength = 1.0
snapshot = 2

[[recipe]]
kind = "add"
tags = ["straw hat"]
count = 1
strength = 0.9
snapshot = 2

[[recipe]]
kind = "hires"
count = 1
strength = 1.0
snapshot = 2

[[recipe]]
kind = "inpaint"
box = [8, 8, 64, 64]
count = 1
strength = 1.0
snapshot = 2
rounds = [{ prompt = "[green:blue:0.5] hat" }]
"""
COMPOSE = """
[[recipe]]
kind = "compose"
count = 1
loras = [{ lora = "other.safetensors", strength = 0.5, tags = ["man"] }]
snapshot = 1
"""


def sid(project: Project | Workspace, *arguments: str | Path) -> str:
    """Run a verb that succeeds; return its output."""
    workspace = project.workspace if isinstance(project, Project) else project
    result = CliRunner().invoke(
        main.app, ["--workspace", str(workspace.folder), *map(str, arguments)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def run_generation(project: Project, number: int) -> None:
    """Run all stations of a generation."""
    catalog = Catalog(project.workspace.catalog_url)
    begun = generation.prepare(project, catalog)
    assert begun.number == number
    for station in (generation.train, generation.draw, generation.curate, generation.publish):
        station(begun)
    catalog.close()


def snapshots(project: Project, number: int) -> list[Path]:
    catalog = Catalog(project.workspace.catalog_url)
    training = trainings.of_generation(catalog, project.name, number)
    catalog.close()
    assert training is not None and training.finished
    return [project.folder / snapshot.path for snapshot in training.snapshots]


@pytest.fixture(scope="module", params=WRITERS)
def project(
    request: pytest.FixtureRequest, originals: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """A project of the family whose generation 1 is published."""
    folder = WRITERS[request.param](tmp_path_factory.mktemp(request.param) / "model")
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    sid(workspace, "new", "badge", "--image", originals / "badge.png", "--caption", CAPTION, "--base", folder)
    made = workspace.project("badge")
    settings = made.toml.read_text().partition("\n[[recipe]]")[0]
    made.toml.write_text(settings + RECIPES)
    # A model with random weights draws little but noise.
    for value in (
        "training.repeats=2", "training.epochs=2", "training.unet_lr=0.02", "training.network_dim=2",
        "drawing.batch_size=3", "drawing.steps=3",
        "curation.hide_flawed=false", 'training.sample_prompts=["woman, hat"]',
    ):  # fmt: skip
        sid(workspace, "set", "badge", value)
    run_generation(workspace.project("badge"), 1)
    yield made
    loading.release()


def test_a_project_grows_and_takes_another_lora_into_its_second_generation(project: Project) -> None:
    drawn = json.loads(sid(project, "candidates", "badge", "--json"))
    assert {candidate["shot"]["recipe"] for candidate in drawn} == {
        "vary",
        "eliminate",
        "add",
        "hires",
        "inpaint",
    }
    catalog = Catalog(project.workspace.catalog_url)
    accepted = [candidate["id"] for candidate in drawn if candidate["shot"]["recipe"] == "eliminate"]
    rejected = [candidate["id"] for candidate in drawn if candidate["id"] not in accepted]
    verdicts.decide(catalog, "badge", accepted, Verdict.ACCEPT, "tester")
    verdicts.decide(catalog, "badge", rejected, Verdict.REJECT, "tester")
    catalog.close()
    sid(project, "grow", "badge")
    (project.folder / "other.safetensors").write_bytes(snapshots(project, 1)[0].read_bytes())
    project.toml.write_text(project.toml.read_text().partition("\n[[recipe]]")[0] + COMPOSE)
    run_generation(project.workspace.project("badge"), 2)
    second = json.loads(sid(project, "candidates", "badge", "--json", "--generation", "2"))
    assert {candidate["shot"]["recipe"] for candidate in second} == {"compose"}
    assert not {candidate["id"] for candidate in second} & {candidate["id"] for candidate in drawn}
    metadata = kohya.read(snapshots(project, 2)[-1]).metadata
    counts = json.loads(metadata["ss_tag_frequency"])
    assert sum(folder.get("woman", 0) for folder in counts.values()) == 1 + len(accepted)
    flow = {
        name: metadata[f"ss_{name}"]
        for name in ("timestep_sampling", "discrete_flow_shift", "weighting_scheme")
    }
    assert (
        flow
        == {
            "Z-Image": {
                "timestep_sampling": "shift",
                "discrete_flow_shift": "2.0",
                "weighting_scheme": "none",
            },
            "FLUX.2 klein": {
                "timestep_sampling": "flux2_shift",
                "discrete_flow_shift": "1.0",
                "weighting_scheme": "none",
            },
        }[loading.hold(project.base_model).family.title]
    )


def test_its_candidates_have_scores_and_sheets(project: Project, tmp_path: Path) -> None:
    drawn = json.loads(sid(project, "candidates", "badge", "--json", "--generation", "1", "--all"))
    assert all(candidate["scores"]["closeness"] is not None for candidate in drawn)
    assert (project.generation_folder(1) / "sheet.png").is_file()
    sheet = tmp_path / "sheet.png"
    sid(
        project, "sheet", "badge", "--x", "strength=0,1", "--y", "sampler=Euler,Heun", "--generation", "1",
        "--output", sheet,
    )  # fmt: skip
    with Image.open(sheet) as picture:
        assert picture.width > 2 * 64


def test_a_picture_is_drawn_again_from_its_infotext_alone(project: Project, tmp_path: Path) -> None:
    drawn = json.loads(sid(project, "candidates", "badge", "--json", "--all"))
    path = Path(next(candidate["path"] for candidate in drawn if candidate["shot"]["recipe"] == "vary"))
    alone = tmp_path / "alone.png"
    with Image.open(path) as picture:
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("parameters", infotext.text_of(path) or "")
        picture.save(alone, pnginfo=chunks)
        before = np.asarray(picture, np.int16)
    sid(project, "redraw", alone, "--output", tmp_path / "again.png")
    with Image.open(tmp_path / "again.png") as again:
        assert np.abs(np.asarray(again, np.int16) - before).max() <= 2
    sid(project, "redraw", alone, "--output", tmp_path / "without.png", "--strength", "0")
    with Image.open(tmp_path / "without.png") as without:
        assert np.abs(np.asarray(without, np.int16) - before).max() > 2
