"""The drawn world: captions name what the pictures show, and the same seed gives the same picture."""

import random
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("resvg_py", reason="drawing Paper Town needs the extra `papertown`")

from bootstrap.papertown import data, shipped, world
from bootstrap.papertown.figures import Person, Robot
from bootstrap.papertown.things import ACCENTS, PROPS
from bootstrap.papertown.world import Prop, Scene

BADGE = Scene(
    figure=Person(
        sex="woman",
        skin="pale",
        hair="bob cut",
        hair_color="blonde",
        clothes="blazer",
        clothes_color="blue",
        mouth="smile",
    ),
    prop=Prop("apple", "red"),
    wall="teal",
    wall_item="window",
    desk=True,
    desk_item="papers",
    accent="id badge",
)


def test_tags_name_everything_in_the_order_of_captions():
    assert ", ".join(world.tags(BADGE)) == (
        "woman, bob cut blonde hair, pale skin, blue blazer, smile, holding red apple, teal wall, window, "
        "wooden desk, papers on desk, id badge"
    )
    nobody = replace(BADGE, figure=None, accent=None, wall_item=None, desk_item=None)
    assert world.tags(nobody) == ["no humans", "red apple", "teal wall", "wooden desk"]
    robot = Scene(figure=Robot("teal"), outdoors="beach")
    assert world.tags(robot) == ["robot", "teal robot", "outdoors", "beach"]


def test_every_tag_of_a_scene_changes_its_picture():
    unchanged = np.asarray(world.render(BADGE, 64))
    for change in (
        {"figure": replace(BADGE.figure, mouth="sad")},
        {"figure": replace(BADGE.figure, eyes="closed eyes")},
        {"prop": Prop("apple", "green")},
        {"prop": None},
        {"wall_item": "clock"},
        {"desk_item": "laptop"},
        {"accent": "medal"},
        {"accent": None},
    ):
        assert (np.asarray(world.render(replace(BADGE, **change), 64)) != unchanged).any(), change


@pytest.mark.parametrize("desk", [True, False])
@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_the_details_of_a_scene_are_where_faces_and_props_differ(desk, shift):
    person = replace(BADGE, desk=desk, desk_item=None, accent=None, shift=shift)
    faces = [replace(person, figure=replace(BADGE.figure, mouth=mouth)) for mouth in ("sad", "tongue out")]
    faces += [replace(person, figure=replace(BADGE.figure, eyes="heart eyes", beard="moustache"))]
    held = [replace(person, prop=Prop(kind, "green")) for kind in PROPS]
    alone = [replace(scene, figure=None) for scene in held]
    for scene, variants in ((person, faces), (person, held), (alone[0], alone[1:])):
        for variant in variants:
            differs = (np.asarray(world.render(scene, 256)) != np.asarray(world.render(variant, 256))).any(-1)
            for left, top, right, bottom in world.details(scene):
                differs[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1] = False
            assert not differs.any(), variant


def test_the_same_seed_gives_the_same_scene_and_picture():
    scene = data.scene("train", 5)
    assert data.scene("train", 5) == scene
    assert (data.picture("train", 5) == data.picture("train", 5)).all()
    assert data.picture("train", 5).shape == (data.SIZE, data.SIZE, 3)
    assert data.scene("train", 6) != scene


def test_accents_come_only_when_asked_for():
    seen = {tag for tags in data.tag_lists("train", 500) for tag in tags}
    assert len(ACCENTS) >= 5
    assert not seen & set(ACCENTS)
    for number, accent in enumerate(ACCENTS):
        scene = data.scene("accents", number)
        assert scene.accent == accent and isinstance(scene.figure, Person)
        assert world.tags(scene)[-1] == accent


def test_everything_that_is_tagged_is_visible():
    rng = random.Random(0)
    for _ in range(500):
        scene = world.sample(rng)
        assert (scene.wall is None) != (scene.outdoors is None)
        assert scene.desk or not scene.desk_item
        if isinstance(scene.figure, Person) and scene.figure.eyes:
            assert scene.figure.eyewear in (None, "round glasses")


def test_shards_are_rendered_once_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SHARD", 4)
    monkeypatch.setattr(data, "cpu_count", lambda: 1)
    data.render_split(tmp_path, "train", 6)
    first_times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    data.render_split(tmp_path, "train", 6)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == first_times
    assert len(first_times) == 2

    pictures = data.Pictures(tmp_path, "train")
    assert len(pictures) == 8
    batch = pictures.batch([5])
    assert (batch[0].permute(1, 2, 0).numpy() == data.picture("train", 5)).all()
    assert (data.to_pixels(data.to_model(batch)) == batch).all()


def test_the_shipped_originals_are_what_the_world_draws(tmp_path):
    shipped.write_originals(tmp_path)
    folder = files("bootstrap") / "papertown" / "originals"
    for name in shipped.ORIGINALS:
        assert (tmp_path / f"{name}.txt").read_text() == (folder / f"{name}.txt").read_text()
        with (
            Image.open(tmp_path / f"{name}.png") as drawn,
            Image.open(str(folder / f"{name}.png")) as packaged,
        ):
            assert np.array_equal(np.asarray(drawn), np.asarray(packaged))
