"""From recipes to shots: the method's use cases, the same shots every time."""

import dataclasses
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bootstrap.catalog.advices import Advice, Measurement
from bootstrap.errors import UserError
from bootstrap.planning.expand import DrawnWith, expand, longer, with_advice
from bootstrap.project import settings
from bootstrap.recipes.needs import Inputs
from bootstrap.recipes.registry import RECIPES as KINDS
from bootstrap.shots import LoraUse, PictureUse, Shot

CAPTION = "woman, red apple, teal wall, window"
WITH = DrawnWith("papertown", "b" * 64, "t" * 64, "demo-g01", 1, 128, 128)


def shots(
    *recipes: dict[str, Any], drawing: dict[str, Any] | None = None, drawn_with: DrawnWith = WITH
) -> list[Shot]:
    raw = {"project": {"caption": CAPTION}, "recipe": list(recipes), "drawing": drawing or {}}
    return expand(settings.parse(raw, "project.toml"), drawn_with)


def test_vary_draws_the_whole_caption_at_every_strength_and_snapshot() -> None:
    drawn = shots({"kind": "vary", "count": 12, "strength": [0.5, 0.6], "snapshot": [2, 3, 4]})
    assert {shot.prompt for shot in drawn} == {CAPTION}
    assert set(Counter((shot.strength, shot.snapshot) for shot in drawn).values()) == {2}
    assert len({shot.seed for shot in drawn}) == 12


def test_eliminate_leaves_each_tag_out_in_turn_but_never_the_subject() -> None:
    drawn = shots({"kind": "eliminate", "count": 6})
    assert Counter(shot.eliminated for shot in drawn) == {
        ("red apple",): 2,
        ("teal wall",): 2,
        ("window",): 2,
    }
    for shot in drawn:
        assert shot.tags[0] == "woman"
        assert shot.eliminated[0] not in shot.tags
        assert len(shot.tags) == 3


def test_eliminate_may_put_the_tag_into_the_negative_prompt() -> None:
    (shot,) = shots(
        {
            "kind": "eliminate",
            "count": 1,
            "tags": ["red apple"],
            "as_negative": True,
            "negative_prompt": "blurry",
        },
        drawing={"negative_prompt": "text # seldom\n# nothing else"},
    )
    assert shot.negative_prompt == "text, blurry, red apple"


def test_add_adds_a_tag_and_replace_replaces_one() -> None:
    added, replaced = shots(
        {"kind": "add", "count": 1, "tags": ["sunglasses"]},
        {"kind": "replace", "count": 1, "tag": "red apple", "by": ["blue ball"]},
    )
    assert (added.prompt, added.added) == ("woman, sunglasses, red apple, teal wall, window", ("sunglasses",))
    assert replaced.prompt == "woman, blue ball, teal wall, window"
    assert (replaced.eliminated, replaced.added) == (("red apple",), ("blue ball",))


@hypothesis_settings(deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8]), min_size=1, unique=True),
)
def test_a_longer_recipe_only_adds_shots(short: int, more: int, strengths: list[float]) -> None:
    recipe = {"kind": "eliminate", "strength": strengths, "snapshot": [2, 4]}
    few = [shot.id for shot in shots({**recipe, "count": short})]
    many = [shot.id for shot in shots({**recipe, "count": short + more})]
    assert many[: len(few)] == few
    assert len(many) == short + more == len(set(many))


def test_every_idea_meets_every_pair_of_strength_and_snapshot() -> None:
    drawn = shots({"kind": "eliminate", "count": 12, "strength": [0.7, 0.8], "snapshot": [3, 4]})
    assert len({(shot.eliminated, shot.strength, shot.snapshot) for shot in drawn}) == 12


def test_the_next_generation_draws_other_pictures() -> None:
    recipe = {"kind": "vary", "count": 4}
    later = DrawnWith("papertown", "b" * 64, "u" * 64, "demo-g02", 2, 128, 128)
    assert not {s.seed for s in shots(recipe)} & {s.seed for s in shots(recipe, drawn_with=later)}


@pytest.mark.parametrize(
    ("drawing", "new", "older"),
    [
        ({}, ("DPM++ 2M", "Automatic"), ("DPM++ 2M Karras", "")),  # the default then
        ({"sampler": "DPM++ 2M"}, ("DPM++ 2M", "Automatic"), ("DPM++ 2M", "")),
        ({"sampler": "DPM++ SDE Karras"}, ("DPM++ SDE", "Karras"), ("DPM++ SDE Karras", "")),
        ({"sampler": "DDIM"}, ("DDIM", "Automatic"), ("DDIM", "")),
        (
            {"sampler": "Euler", "schedule": "Beta"},
            ("Euler", "Beta"),
            ("Euler", "Beta"),
        ),  # which did not exist then
    ],
)
def test_a_generation_that_began_before_schedules_goes_on_without(
    drawing: dict[str, Any], new: tuple[str, str], older: tuple[str, str]
) -> None:
    began = dataclasses.replace(WITH, older_rule=True)
    for drawn_with, expected in ((WITH, new), (began, older)):
        [shot] = shots({"kind": "vary", "count": 1}, drawing=drawing, drawn_with=drawn_with)
        assert (shot.sampler, shot.schedule) == expected


def test_the_id_depends_on_what_decides_the_pixels() -> None:
    (shot,) = shots({"kind": "vary", "count": 1})
    data = shot.to_dict()
    assert Shot.from_dict(data) == shot
    assert Shot.from_dict({**data, "recipe": "add", "added": ["x"]}).id == shot.id
    for change in (
        {"seed": 1},
        {"prompt": "man"},
        {"steps": 3},
        {"base_model_hash": "c" * 64},
        {"width": 64},
        {"schedule": "Karras"},
        {"schedule": ""},
    ):
        assert Shot.from_dict({**data, **change}).id != shot.id
    stronger = {**data, "loras": [{**data["loras"][0], "strength": 0.61}]}
    assert Shot.from_dict(stronger).id != shot.id


RECIPES: list[dict[str, Any]] = [
    {"kind": "vary", "count": 3},
    {"kind": "eliminate", "count": 3},
    {"kind": "add", "count": 3, "tags": ["hat"]},
    {"kind": "replace", "count": 3, "tag": "red apple", "by": ["ball"]},
]


def with_snapshots(*snapshots: object) -> settings.Settings:
    recipes = [{**recipe, "snapshot": snapshot} for recipe, snapshot in zip(RECIPES, snapshots, strict=True)]
    return settings.parse({"project": {"caption": CAPTION}, "recipe": recipes}, "project.toml")


@hypothesis_settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 5), st.floats(0, 1))
def test_auto_draws_what_the_chosen_numbers_would_draw(first: int, more: int, measured: float) -> None:
    last = min(6, first + more)
    advice = Advice([Measurement(epoch, measured, measured, None) for epoch in range(1, 7)], first, last)
    middle = (first + last) // 2
    chosen = with_advice(with_snapshots("auto", "auto", "auto", "auto"), advice)
    assert expand(chosen, WITH) == expand(with_snapshots(first, middle, middle, middle), WITH)


def test_what_is_a_number_stays_a_number() -> None:
    advice = Advice([Measurement(epoch, 0.5, 0.5, None) for epoch in range(1, 7)], 2, 6)
    chosen = with_advice(with_snapshots([1, 5], "auto", 3, {"from": 1, "to": 2}), advice)
    assert [recipe.snapshot for recipe in chosen.recipe] == [[1, 5], [4], [3], [1, 2]]
    assert not chosen.asks_adviser


def test_brackets_of_the_caption_are_names_and_those_of_a_recipe_are_emphasis() -> None:
    raw = {
        "project": {"caption": "saber (fate), hat, [red] bow"},
        "recipe": [
            {"kind": "add", "tags": ["(smile:1.2)"], "count": 1},
            {"kind": "eliminate", "tags": ["[red] bow"], "as_negative": True, "count": 1},
        ],
    }
    added, eliminated = expand(settings.parse(raw, "project.toml"), WITH)
    assert added.prompt == r"saber \(fate\), (smile:1.2), hat, \[red\] bow"
    assert eliminated.prompt == r"saber \(fate\), hat"
    assert eliminated.negative_prompt == r"\[red\] bow"


INPUTS = Inputs(
    original=PictureUse("original.png", "o" * 64),
    original_size=(256, 256),
    masks={"mask.png": PictureUse("mask.png", "m" * 64)},
    loras={
        ("medal", None, 4): LoraUse("medal-g01-000004", "u" * 64, 4, 1.0, source="medal"),
        ("style.safetensors", None, None): LoraUse(
            "style", "", 0, 1.0, sha256="f" * 64, source="style.safetensors"
        ),
    },
    base_models={"other": "c" * 64},
)
WITH_INPUTS = DrawnWith("papertown", "b" * 64, "t" * 64, "demo-g01", 1, 128, 128, 16, INPUTS)
EVERY_KIND: list[dict[str, Any]] = [
    {"kind": "vary"},
    {"kind": "eliminate"},
    {"kind": "add", "tags": ["hat", "smile"]},
    {"kind": "replace", "tag": "window", "by": ["door", "poster", "clock"]},
    {"kind": "replicate"},
    {"kind": "reference", "prompts": ["beach", "forest"]},
    {"kind": "element", "tags": ["red apple"], "prompts": ["on a plate, kitchen", "in a tree"]},
    {"kind": "resize", "aspect_ratios": ["2:3", "16:9"], "sizes": [[64, 256]]},
    {"kind": "restyle", "base_model": "other", "prompts": ["oil painting"]},
    {
        "kind": "compose",
        "tags": ["woman"],
        "loras": [
            {"lora": "medal", "snapshot": 4, "strength": 0.5, "tags": ["man", "gold (medal)"]},
            {"lora": "style.safetensors", "tags": ["(ink:1.2)"]},
        ],
        "prompts": ["shaking hands", "back to back"],
    },
    {"kind": "hires", "hires_upscale": 1.5},
    {
        "kind": "inpaint",
        "box": [0, 0, 64, 64],
        "rounds": [
            {"prompt": "woman, green ball", "strength": 0.4},
            {"prompt": "woman, green ball, door", "mask": "mask.png", "denoising_strength": 0.5},
        ],
    },
    {
        "kind": "bootstrap",
        "aspects": [
            {"name": "pose", "tags": ["sitting", "running", "waving"], "quota": 2},
            {"name": "place", "tags": ["beach", "forest"], "instead_of": ["teal wall", "window"]},
        ],
        "unchanged": 1,
    },
]


def every(recipe: dict[str, Any], **drawing: Any) -> list[Shot]:
    return shots(recipe, drawing=drawing, drawn_with=WITH_INPUTS)


def test_every_kind_is_tested_here() -> None:
    assert [recipe["kind"] for recipe in EVERY_KIND] == list(KINDS)


@pytest.mark.parametrize("recipe", EVERY_KIND, ids=lambda recipe: recipe["kind"])
@hypothesis_settings(deadline=None, max_examples=8)
@given(
    few=st.integers(1, 12),
    more=st.integers(0, 12),
    strengths=st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8]), min_size=1, unique=True),
)
def test_the_same_shots_every_time_and_a_longer_recipe_only_adds_some(
    recipe: dict[str, Any], few: int, more: int, strengths: list[float]
) -> None:
    changed = {**recipe, "strength": strengths, "snapshot": [2, 4]}
    short, long = (every({**changed, "count": count}) for count in (few, few + more))
    assert every({**changed, "count": few}) == short
    assert long[:few] == short
    assert len(long) == few + more == len({shot.id for shot in long})
    assert all(Shot.from_dict(shot.to_dict()) == shot for shot in long)
    assert {shot.recipe for shot in long} == {recipe["kind"]}


def test_recipes_of_earlier_releases_keep_the_ids_of_their_shots() -> None:
    drawn = shots(
        {"kind": "vary", "count": 2},
        {"kind": "eliminate", "count": 2, "as_negative": True},
        {"kind": "add", "count": 1, "tags": ["hat"]},
        {"kind": "replace", "count": 1, "tag": "window", "by": ["door"]},
        drawn_with=dataclasses.replace(WITH, older_rule=True),
    )
    assert [shot.id for shot in drawn] == [
        "f2b79c6906f9489a", "f601f39ebafcde01", "9ce5f61bbc784bad", "d97d5baddace5314", "e6dffb19d6f2decb",
        "ff92867189c97fa9",
    ]  # fmt: skip


def of_kind(kind: str, **changes: Any) -> list[Shot]:
    return every({**next(recipe for recipe in EVERY_KIND if recipe["kind"] == kind), **changes})


COMMENTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


def commented(recipe: Any, before: str, behind: str) -> Any:
    """Return the recipe with comments in all texts that it puts into a prompt."""
    if isinstance(recipe, list):
        return [commented(part, before, behind) for part in recipe]
    names = {
        "kind",
        "tag",
        "base_model",
        "box",
        "mask",
        "lora",
        "name",
        "instead_of",
        "aspect_ratios",
        "sizes",
    }
    if (
        recipe.get("kind") in ("eliminate", "reference", "element", "compose")
        or recipe.get("lora") == "medal"
    ):
        names.add("tags")

    def written(value: Any) -> Any:
        if isinstance(value, str):
            return f"#{before}\n {value} #{behind}\n#{before}"
        if isinstance(value, list):
            return [
                written(part) if isinstance(part, str) else commented(part, before, behind) for part in value
            ]
        return value

    return {key: value if key in names else written(value) for key, value in recipe.items()}


@pytest.mark.parametrize("recipe", EVERY_KIND, ids=lambda recipe: recipe["kind"])
@hypothesis_settings(deadline=None, max_examples=8)
@given(before=COMMENTS, behind=COMMENTS)
def test_comments_change_no_shot_and_are_in_none(recipe: dict[str, Any], before: str, behind: str) -> None:
    few = {**recipe, "count": 6}
    assert every(commented(few, before, behind)) == every(few)


def test_a_hash_sign_in_the_caption_is_part_of_a_name() -> None:
    raw = {
        "project": {"caption": "woman, #1 shirt, hat"},
        "recipe": [{"kind": "vary", "count": 1}, {"kind": "eliminate", "tags": ["#1 shirt"], "count": 1}],
    }
    varied, eliminated = expand(settings.parse(raw, "project.toml"), WITH)
    assert varied.prompt == "woman, #1 shirt, hat"
    assert eliminated.prompt == "woman, hat" and eliminated.eliminated == ("#1 shirt",)


@pytest.mark.parametrize(
    "recipe",
    [{"kind": "add", "tags": ["hat", "# later"]}, {"kind": "replace", "tag": "window", "by": [" #door"]}],
)
def test_a_tag_that_is_nothing_but_a_comment_is_refused(recipe: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="nothing but a comment"):
        shots(recipe)


def test_replicate_draws_the_whole_caption_at_full_strength_with_the_last_snapshot() -> None:
    assert {(shot.prompt, shot.strength, shot.snapshot) for shot in of_kind("replicate")} == {
        (CAPTION, 1.0, 6)
    }


def test_reference_and_element_take_a_few_tags_along() -> None:
    assert {shot.prompt for shot in of_kind("reference")} == {"woman, beach", "woman, forest"}
    assert {shot.strength for shot in of_kind("reference")} == {0.4, 0.5}
    drawn = of_kind("element")
    assert {shot.prompt for shot in drawn} == {"red apple, on a plate, kitchen", "red apple, in a tree"}
    assert {shot.added for shot in drawn} == {("on a plate, kitchen",), ("in a tree",)}


def test_resize_to_an_aspect_ratio_keeps_about_as_many_pixels() -> None:
    sizes = list(dict.fromkeys((shot.width, shot.height) for shot in of_kind("resize")))
    assert sizes == [(112, 160), (176, 96), (64, 256)]


def test_restyle_draws_with_the_other_base_model_and_this_lora() -> None:
    shot = of_kind("restyle")[0]
    assert (shot.base_model, shot.base_model_hash) == ("other", "c" * 64)
    assert shot.loras[0].training_id == "t" * 64
    assert shot.prompt == CAPTION + ", oil painting"


def test_compose_takes_strengths_and_tags_of_each_lora() -> None:
    first, second = of_kind("compose", count=2)
    assert [(use.name, use.strength) for use in first.loras] == [
        ("demo-g01-000004", 0.7), ("medal-g01-000004", 0.5), ("style", 0.7)
    ]  # fmt: skip
    assert first.prompt == r"woman, man, gold \(medal\), (ink:1.2), shaking hands"
    assert second.prompt.endswith("back to back")


def test_hires_is_a_second_pass_over_the_shot() -> None:
    shot = of_kind("hires", hires_steps=7, hires_cfg_scale=1.5)[0]
    first = shot.hires
    assert first is not None and first.start is None
    assert (first.width, first.height, first.steps) == (128, 128, 25)
    assert (shot.width, shot.height, shot.steps) == (192, 192, 7)
    assert (first.cfg_scale, shot.cfg_scale) == (7.0, 1.5)
    assert of_kind("hires")[0].cfg_scale == 7.0
    assert shot.start is not None and shot.start.denoising_strength == 0.4
    assert (first.prompt, first.seed, first.loras) == (shot.prompt, shot.seed, shot.loras)


def test_inpaint_starts_from_the_original_and_continues_round_by_round() -> None:
    shot = of_kind("inpaint", negative_prompt="text")[0]
    first, last = shot.passes
    assert last == shot and first.start is not None and last.start is not None
    assert (first.start.picture, first.strength, first.start.denoising_strength) == (
        INPUTS.original,
        0.4,
        0.75,
    )
    assert (last.start.picture, last.strength, last.start.denoising_strength) == (None, 0.8, 0.5)
    assert first.start.mask is not None and first.start.mask.box == (
        0,
        0,
        32,
        32,
    )  # the original is twice as large
    assert last.start.mask is not None and last.start.mask.picture == INPUTS.masks["mask.png"]
    assert (first.prompt, last.prompt) == ("woman, green ball", "woman, green ball, door")
    assert last.added == ("green ball", "door")
    assert {first.negative_prompt, last.negative_prompt} == {"text"}
    assert first.seed != last.seed


def test_a_box_that_the_size_crops_away_is_refused() -> None:
    wide = DrawnWith("papertown", "b" * 64, "t" * 64, "demo-g01", 1, 256, 64, 16, INPUTS)
    with pytest.raises(UserError, match="cropped away to draw at 256x64"):
        shots({**EVERY_KIND[11], "box": [0, 0, 40, 40]}, drawn_with=wide)


def test_bootstrap_keeps_its_quotas_in_every_round() -> None:
    drawn = of_kind("bootstrap", count=10)
    assert [shot.added for shot in drawn] == [
        ("sitting",), ("running",), ("beach",), ("sitting", "beach"), (),
        ("waving",), ("sitting",), ("forest",), ("running", "forest"), (),
    ]  # fmt: skip
    assert drawn[2].prompt == "woman, red apple, beach"
    assert drawn[2].eliminated == ("teal wall", "window")
    assert drawn[4].prompt == CAPTION


@given(st.integers(1, 4), st.integers(1, 4))
@hypothesis_settings(deadline=None, max_examples=16)
def test_mixed_shots_meet_every_combination_before_one_repeats(poses: int, places: int) -> None:
    aspects = [
        {"name": "pose", "tags": [f"pose {n}" for n in range(poses)], "quota": 0},
        {"name": "place", "tags": [f"place {n}" for n in range(places)], "quota": 0},
    ]
    drawn = every({"kind": "bootstrap", "aspects": aspects, "count": poses * places})
    assert len({shot.prompt for shot in drawn}) == poses * places


def test_choices_are_made_by_the_seed_and_kept_with_the_shot() -> None:
    recipe = {
        "kind": "add",
        "count": 12,
        "tags": ["{round|square} glasses"],
        "negative_prompt": "{blurry|dark}",
    }
    drawn = shots(recipe)
    assert {shot.added for shot in drawn} == {("round glasses",), ("square glasses",)}
    assert {shot.negative_prompt for shot in drawn} == {"blurry", "dark"}
    assert all(shot.prompt == f"woman, {shot.added[0]}, red apple, teal wall, window" for shot in drawn)
    assert shots({**recipe, "count": 4}) == drawn[:4]


def test_a_generation_does_not_grow_without_end() -> None:
    raw = {"project": {"caption": CAPTION}, "recipe": [{"kind": "vary", "count": 60_000}]}
    parsed = settings.parse(raw, "project.toml")
    assert longer(parsed, 1).recipe[0].count == 60_000
    with pytest.raises(UserError, match="would have 120,000 shots, 100,000 at most"):
        longer(parsed, 2)
