"""A family registered from a single file among the tests takes a project through two generations."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bootstrap.catalog import Catalog, trainings, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.cli import main
from bootstrap.drawing import infotext
from bootstrap.errors import UserError
from bootstrap.loop import generation
from bootstrap.lora import formats, header, kohya
from bootstrap.lora.targets import target_modules
from bootstrap.models import loading, registry, specs
from bootstrap.project.projects import Project, Workspace, create
from tests.families.tiny_flow import TINY_FLOW, write_model

CAPTION = "woman, red apple, blue blazer"
RECIPES = """
[[recipe]]
kind = "vary"
count = 4
strength = 0.8
snapshot = "auto"

[[recipe]]
kind = "eliminate"
tags = ["red apple"]
count = 2
strength = 1.0
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
rounds = [{ prompt = "[green:blue:0.5] hat, (red apple:1.3)" }]
"""


def test_it_is_unknown_before_it_is_registered(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it is a TinyFlowPipeline; take a Stable Diffusion 1"):
        specs.find(str(write_model(tmp_path / "model")))


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a model of the family, which stays registered while this module's tests run."""
    folder = write_model(tmp_path_factory.mktemp("tiny-flow") / "model")
    with registry.registered(TINY_FLOW):
        yield folder
    loading.release()


@pytest.fixture(scope="module")
def project(base_folder: Path, originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose generation 1 is drawn, curated and published."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    project = create(workspace, "badge", originals / "badge.png", CAPTION, str(base_folder), RECIPES)
    text = project.toml.read_text()
    for key, value in (("repeats", 6), ("epochs", 2), ("network_dim", 4), ("batch_size", 3)):
        old = next(line for line in text.splitlines() if line.startswith(f"{key} = "))
        text = text.replace(old, f"{key} = {value}")
    # A model with random weights draws little but noise.
    project.toml.write_text(text.replace("hide_flawed = true", "hide_flawed = false"))
    project = workspace.project("badge")
    run_generation(project, 1)
    return project


def run_generation(project: Project, number: int) -> None:
    """Run all stations of a generation."""
    catalog = Catalog(project.workspace.catalog_url)
    begun = generation.prepare(project, catalog)
    assert begun.number == number
    generation.train(begun)
    generation.draw(begun)
    generation.curate(begun)
    generation.publish(begun)
    catalog.close()


def sid(project: Project, *arguments: str | Path) -> str:
    """Run a verb in this process, where the family is registered; return its output."""
    result = CliRunner().invoke(
        main.app, ["--workspace", str(project.workspace.folder), *map(str, arguments)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def snapshots(project: Project, number: int) -> list[Path]:
    catalog = Catalog(project.workspace.catalog_url)
    training = trainings.of_generation(catalog, project.name, number)
    catalog.close()
    assert training is not None and training.finished
    return [project.folder / snapshot.path for snapshot in training.snapshots]


def test_a_project_grows_with_it_and_trains_a_second_generation(project: Project) -> None:
    drawn = json.loads(sid(project, "candidates", "badge", "--json"))
    assert {candidate["shot"]["recipe"] for candidate in drawn} == {"vary", "eliminate", "hires", "inpaint"}
    accepted = [candidate["id"] for candidate in drawn if candidate["shot"]["recipe"] == "eliminate"]
    catalog = Catalog(project.workspace.catalog_url)
    verdicts.decide(catalog, "badge", accepted, Verdict.ACCEPT, "tester")
    rejected = [candidate["id"] for candidate in drawn if candidate["id"] not in accepted]
    verdicts.decide(catalog, "badge", rejected, Verdict.REJECT, "tester")
    catalog.close()
    sid(project, "grow", "badge")
    run_generation(project.workspace.project("badge"), 2)
    metadata = kohya.read(snapshots(project, 2)[-1]).metadata
    counts = json.loads(metadata["ss_tag_frequency"])
    assert sum(folder.get("woman", 0) for folder in counts.values()) == 1 + len(accepted)
    second = json.loads(sid(project, "candidates", "badge", "--json", "--generation", "2"))
    assert second
    assert not {candidate["id"] for candidate in second} & {candidate["id"] for candidate in drawn}


def test_its_lora_file_has_its_own_names_and_nonzero_deltas(project: Project, tmp_path: Path) -> None:
    path = snapshots(project, 1)[-1]
    lora = formats.read(path)
    base = loading.hold(project.base_model)
    assert set(lora.modules) == set(target_modules(base))
    assert {name.rsplit("_", 1)[0] for name in lora.modules} >= {"lora_flow", "lora_words"}
    assert lora.metadata["ss_base_model_version"] == "tiny_flow"
    assert lora.metadata["modelspec.architecture"] == "tiny-flow/lora"
    assert "modelspec.prediction_type" not in lora.metadata
    assert all(float(module.delta().abs().max()) > 0 for module in lora.modules.values())
    assert "made for: Tiny Flow" in sid(project, "lora", "inspect", path, "--base", project.base_model.name)
    converted = tmp_path / "diffusers.safetensors"
    sid(project, "lora", "convert", path, converted, "--to", "diffusers")
    assert formats.format_of(converted) == "diffusers"
    assert "flow_transformer.to_q.lora_A.weight" in header.tensor_names(converted)
    back = formats.read(converted)
    for name, module in lora.modules.items():
        assert np.allclose(back.modules[name].delta(), module.delta(), atol=1e-3), name


def test_a_picture_is_drawn_again_from_its_infotext_alone(project: Project, tmp_path: Path) -> None:
    drawn = json.loads(sid(project, "candidates", "badge", "--json", "--all"))
    path = Path(next(candidate["path"] for candidate in drawn if candidate["shot"]["recipe"] == "vary"))
    alone = tmp_path / "alone.png"
    with Image.open(path) as picture:
        from PIL import PngImagePlugin

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


@pytest.mark.parametrize(
    ("section", "line", "message"),
    [
        ("training", "clip_skip = 2", r"'training\.clip_skip' is 2, but Tiny Flow supports only 1"),
        ("training", "min_snr_gamma = 5", r"'training\.min_snr_gamma' is 5"),
        ("drawing", 'sampler = "DDIM"', r"'drawing\.sampler' is DDIM; Tiny Flow supports Euler"),
        ("project", 'prediction_type = "epsilon"', "Tiny Flow does not support 'epsilon'"),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(
    base_folder: Path, originals: Path, tmp_path: Path, section: str, line: str, message: str
) -> None:
    project = create(Workspace(tmp_path), "a", originals / "badge.png", CAPTION, str(base_folder), None)
    text = project.toml.read_text()
    key = line.split(" = ")[0]
    without_key = "\n".join(each for each in text.splitlines() if not each.startswith(f"{key} = "))
    project.toml.write_text(without_key.replace(f"[{section}]", f"[{section}]\n{line}#", 1))
    with pytest.raises(UserError, match=message) as refused:
        project.workspace.project("a").settings  # noqa: B018  (the property reads the file)
    assert "\n" not in str(refused.value)


def test_loras_of_another_family_are_refused(project: Project, originals: Path, tmp_path: Path) -> None:
    papertown = create(Workspace(tmp_path), "a", originals / "badge.png", CAPTION, "papertown", None)
    (papertown.folder / "flow.safetensors").write_bytes(snapshots(project, 1)[-1].read_bytes())
    compose = '\n[[recipe]]\nkind = "compose"\nloras = [{ lora = "flow.safetensors" }]\n'
    papertown.toml.write_text(papertown.toml.read_text() + compose)
    catalog = Catalog(papertown.workspace.catalog_url)
    with pytest.raises(
        UserError, match=r"is of Tiny Flow, this project's base model papertown is Stable Diff"
    ):
        generation.prepare(papertown.workspace.project("a"), catalog)
    catalog.close()
