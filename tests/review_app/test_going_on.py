"""What the pages say while a generation trains or draws, and after it was stopped."""

import json

import pytest
from browser import populate
from making import bring
from starlette.testclient import TestClient

from bootstrap.catalog import generations, trainings
from bootstrap.progress import Progress
from bootstrap.project.projects import Project
from bootstrap.project.running import exclusively
from bootstrap.training import loss_curve
from review_app.urls import thumbnail_url
from review_app.workspace import catalog_of
from tests.review_app.test_project_pages import page, texts


@pytest.mark.parametrize("name", ["grid", "generations", "review"])
def test_while_pictures_are_drawn_every_page_shows_how_far_and_which(
    made: Project, client: TestClient, name: str
) -> None:
    ids = populate.draw(made, 3)
    catalog = catalog_of(made)
    bring(made, catalog, 1, "drawing")
    with exclusively(made):
        tell = generations.reporter(catalog, made.name, 1, every_seconds=0)
        tell(Progress("draw", 3, 12, "pictures", 0.5))
        ran = page(name)
        said = texts(ran)
        progress = [one.proto.text for one in ran.get("progress")]
    assert "No candidates yet" not in said and "Start a generation" not in [one.label for one in ran.button]
    assert progress == ["Drawing · 3 of 12 pictures · 2\\.0 s\\/picture · about 20 s left"]
    if name == "review":
        return
    assert [said.index(thumbnail_url(made, one)) for one in reversed(ids)] == sorted(
        said.index(thumbnail_url(made, one)) for one in ids
    )  # the newest first
    assert client.get(thumbnail_url(made, ids[0])).headers["content-type"] == "image/webp"


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_what_a_stopped_drawing_has_drawn_is_shown(made: Project, state: str) -> None:
    ids = populate.draw(made, 2)
    bring(made, catalog_of(made), 1, "drawing")
    bring(made, catalog_of(made), 1, state, "the disk is full")
    for name in ("grid", "generations"):
        said = texts(page(name))
        assert all(thumbnail_url(made, one) in said for one in ids), name
        assert "2 pictures drawn so far" in said
    assert "Generation 1 has not finished" in texts(page("grid"))


def test_while_a_lora_is_trained_the_page_shows_steps_and_loss(made: Project) -> None:
    catalog = catalog_of(made)
    generations.begin(catalog, made.name)
    bring(made, catalog, 1, "training")
    trainings.begin(catalog, made.name, 1, "a" * 64, {"network_dim": 32}, [{"picture": "a", "seen": 0}])
    folder = made.generation_folder(1) / "training-aaaaaaaa"
    with exclusively(made):
        tell = loss_curve.following(
            folder, generations.reporter(catalog, made.name, 1, every_seconds=0)
        )  # as a training does
        for step in range(9):
            tell(Progress("train", step, 8, "steps", 2.0, loss=1 / step if step else None))
        tell(Progress("train", 4, 8, "steps", 2.0, "loss 0.25"))
        ran = page("training")
    said = texts(ran)
    assert "Nothing trained yet" not in said and "Generation 1 is running" in said
    assert "4 of 8 steps" in ran.get("progress")[0].proto.text
    (chart,) = ran.get("vega_lite_chart")
    spec = json.loads(chart.proto.spec)
    assert spec["encoding"]["x"]["scale"]["domain"] == [0, 8] and spec["encoding"]["y"]["scale"]["zero"]
    assert loss_curve.read(folder) == [(step, pytest.approx(1 / step)) for step in range(1, 9)]
