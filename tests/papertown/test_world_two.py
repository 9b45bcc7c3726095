"""The second town: a tag for all that a picture shows and for nothing that it hides; one seed, one picture."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("resvg_py", reason="drawing Paper Town needs the extra `papertown`")

from bootstrap.papertown import tags_two as tags
from bootstrap.papertown.palette import COLORS
from bootstrap.papertown.two import data, rendering, tagger_making, world
from bootstrap.papertown.two.accents import ACCENTS, HIDDEN_FROM_BEHIND
from bootstrap.papertown.two.figures import Person, Robot
from bootstrap.papertown.two.hair import HAIR, HATS
from bootstrap.papertown.two.rig import POSES, RAISED, VIEWS
from bootstrap.papertown.two.world import FRAMINGS, Prop, Scene, Variation

WALKER = Scene(
    Person(
        sex="woman",
        skin="tan",
        hair="bob cut",
        hair_color="red",
        clothes="hoodie",
        clothes_color="teal",
        bottoms="skirt",
        bottoms_color="purple",
        shoes_color="yellow",
        mouth="smile",
        eyes="happy eyes",
    ),
    framing="full body",
    pose="walking",
    prop=Prop("apple", "green"),
    wall="pink",
    wall_item="clock",
    accent="striped scarf",
)
FACE = ("mouth", "eyes", "eyewear", "beard")

scenes = st.builds(
    lambda seed, accent: world.sample(random.Random(seed), accent),
    st.integers(0, 10**9),
    st.sampled_from([None, None, *ACCENTS]),
)


def pixels(scene, size=64):
    return np.asarray(rendering.render(scene, size)).astype(int)


def differs(scene, **changes):
    return (pixels(scene) != pixels(replace(scene, **changes))).any()


def test_tags_name_everything_in_the_order_of_captions():
    assert ", ".join(world.tags(WALKER)) == (
        "woman, full body, from front, walking, bob cut red hair, tan skin, teal hoodie, purple skirt, yellow shoes, "
        "happy eyes, smile, holding green apple, pink wall, clock, striped scarf"
    )
    behind = replace(WALKER, framing="portrait", view="from behind", pose="waving")
    assert ", ".join(world.tags(behind)) == (
        "woman, portrait, from behind, waving, bob cut red hair, tan skin, teal hoodie, holding green apple, "
        "pink wall, clock, striped scarf"
    )
    assert world.tags(Scene(Robot("teal"), "portrait", "from side", outdoors="beach")) == [
        "robot", "portrait", "from side", "teal robot", "outdoors", "beach",
    ]  # fmt: skip
    assert world.tags(Scene(None, prop=Prop("cup", "red"), wall="white")) == [
        "no humans",
        "red cup",
        "white wall",
    ]


@settings(deadline=None, max_examples=40)
@given(scenes)
def test_a_tag_says_what_is_seen_and_nothing_that_is_hidden(scene):
    seen = world.attributes(scene)
    assert (scene.wall is None) != (scene.outdoors is None)
    assert scene.desk or not scene.desk_item
    if scene.figure is None:
        assert not {"framing", "view", "pose", "skin", "accent"} & set(seen)
        return
    assert seen["framing"] == scene.framing and seen["view"] == scene.view
    if scene.framing != "full body":
        assert not {"bottoms", "bottoms_color", "shoes_color"} & set(seen)
        assert seen.get("pose", "arms up") in RAISED
    else:
        assert seen["pose"] == scene.pose and not scene.desk
    if scene.view == "from behind":
        assert not set(FACE) & set(seen) and seen.get("accent") not in HIDDEN_FROM_BEHIND
    if isinstance(scene.figure, Person):
        assert scene.view == "from behind" or seen["mouth"] == scene.figure.mouth
        assert not (scene.view == "from side" and seen.get("eyes") == "wink")
        assert seen.get("accent") == scene.accent  # a sampled accent shows
        assert ("hair_color" in seen) == (scene.figure.hair != "bald")


@settings(deadline=None, max_examples=40)
@given(scenes)
def test_all_attributes_are_answers_that_a_tagger_can_give(scene):
    seen, before = world.attributes(scene), {}
    heads = tagger_making.heads()
    assert set(seen) <= set(tags.ATTRIBUTES) and tuple(heads) == tags.ATTRIBUTES
    for name, options in heads.items():
        value = seen.get(name, "")
        assert value in options and tags.is_allowed(name, value, before), (name, value, before)
        before |= {name: value} if value else {}


@settings(deadline=None, max_examples=40)
@given(scenes)
def test_what_has_no_tag_does_not_show(scene):
    """A face from behind, shoes in a portrait: whatever they are, the picture is the same."""
    if not isinstance(scene.figure, Person):
        return
    seen, person = world.attributes(scene), scene.figure
    hidden = {}
    if scene.view == "from behind":
        hidden |= {"mouth": "smile", "eyes": None, "eyewear": None, "beard": None}
    if scene.framing != "full body":
        hidden |= {"shoes_color": "red"}
    if (
        "clothes" in seen
        and person.clothes != "overalls"
        and "bottoms" not in seen
        and scene.framing != "full body"
    ):
        hidden |= {"bottoms_color": "red"}
    assert not differs(scene, figure=replace(person, **hidden))
    if scene.accent in HIDDEN_FROM_BEHIND and "accent" not in seen:
        assert not differs(scene, accent=None)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_tag_of_a_scene_changes_its_picture(framing, view):
    pose = "walking" if framing == "full body" else "waving"
    scene = replace(WALKER, framing=framing, view=view, pose=pose)
    seen = world.attributes(scene)
    changes = {
        "sex": "man", "skin": "dark", "hair": "curly", "hair_color": "blue", "clothes": "sweater",
        "clothes_color": "white", "bottoms": "shorts", "bottoms_color": "black", "shoes_color": "red",
        "mouth": "sad", "eyes": "heart eyes",
    }  # fmt: skip
    for name, value in changes.items():
        if name in seen or name == "sex":
            assert differs(scene, figure=replace(scene.figure, **{name: value})), name
    for other in ("arms up", "waving", *(POSES if framing == "full body" else ())):
        assert other == pose or differs(scene, pose=other), other
    assert differs(scene, prop=Prop("apple", "red")) and differs(scene, prop=None)
    assert differs(scene, wall_item="window") and differs(scene, wall="blue")
    for accent in (*ACCENTS, None):
        is_hidden = view == "from behind" and accent in (*HIDDEN_FROM_BEHIND, None)
        assert differs(replace(scene, accent=None), accent=accent) != is_hidden or accent is None


@pytest.mark.parametrize("view", ["from front", "from side"])
def test_neither_hair_nor_hat_hides_a_face(view):
    bald = replace(WALKER.figure, sex="man", hair="bald", eyes=None)
    changes = [
        ({"eyes": "heart eyes"}, {"eyes": "closed eyes"}),
        ({"mouth": "sad"}, {"mouth": "tongue out"}),
        ({"eyewear": "sunglasses"}, {"eyewear": None}),
    ]

    def shown(person):
        scenes = (
            Scene(replace(person, **looks), "portrait", view, wall="blue")
            for pair in changes
            for looks in pair
        )
        drawn = [pixels(scene, 128) for scene in scenes]
        return np.array([(a != b).any(-1).sum() for a, b in zip(drawn[::2], drawn[1::2], strict=True)])

    whole = shown(bald)
    for sex, styles in HAIR.items():
        for hair, hat in [*((hair, None) for hair in styles), *((None, hat) for hat in HATS)]:
            person = replace(bald, sex=sex, hair=hair, hat=hat, hat_color=hat and "red")
            assert (shown(person) > 0.75 * whole).all(), (sex, hair, hat, shown(person) / whole)


def test_every_framing_view_and_pose_looks_different():
    for figure in (
        WALKER.figure,
        replace(WALKER.figure, sex="man", hair="shaggy"),
        *map(Robot, list(COLORS)[:3]),
    ):
        drawn = {}
        for framing in FRAMINGS:
            for view in VIEWS:
                for pose in POSES if framing == "full body" else ("standing", *RAISED):
                    scene = replace(WALKER, figure=figure, framing=framing, view=view, pose=pose, accent=None)
                    drawn[framing, view, pose] = pixels(scene, 32).astype(float)
        keys = list(drawn)
        for number, key in enumerate(keys):
            for other in keys[:number]:
                assert np.abs(drawn[key] - drawn[other]).mean() > 0.7, (figure, key, other)


def test_pictures_of_one_caption_differ_and_the_same_seed_gives_the_same():
    variations = [Variation.sample(random.Random(seed)) for seed in range(6)]
    drawn = [pixels(replace(WALKER, variation=variation), 128) for variation in variations]
    for number, picture in enumerate(drawn):
        assert all(np.abs(picture - other).mean() > 8 for other in drawn[:number])
    assert data.scene("train", 5) == data.scene("train", 5) != data.scene("train", 6)
    assert (data.picture("train", 5) == data.picture("train", 5)).all()
    assert data.picture("train", 5).shape == (128, 128, 3)


@settings(deadline=None, max_examples=40)
@given(scenes)
def test_the_details_of_a_scene_are_where_faces_and_props_differ(scene):
    variants = []
    if isinstance(scene.figure, Person) and not scene.figure.beard and not scene.figure.eyewear:
        variants += [
            {"figure": replace(scene.figure, mouth=mouth, eyes=None)} for mouth in ("sad", "tongue out")
        ]
    if scene.prop:
        variants.append({"prop": Prop("balloon", scene.prop.color)})
    before = pixels(scene, 128)
    for changes in variants:
        changed = (before != pixels(replace(scene, **changes), 128)).any(-1)
        for left, top, right, bottom in rendering.details(scene):
            rows = slice(max(0, int(top / 2)), max(0, int(bottom / 2) + 2))
            changed[rows, max(0, int(left / 2)) : max(0, int(right / 2) + 2)] = False
        assert changed.sum() <= 12, changes


def test_accents_come_only_when_asked_for():
    seen = {tag for tag_list in data.tag_lists("train", 300) for tag in tag_list}
    assert not seen & set(ACCENTS) and len(ACCENTS) == 8
    for number, accent in enumerate(ACCENTS):
        assert world.tags(data.scene("accents", number))[-1] == accent
