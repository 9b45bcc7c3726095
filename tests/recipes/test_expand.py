"""From recipes to shots: the method's use cases, the same shots every time."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bootstrap import settings
from bootstrap.catalog.advices import Advice, Measurement
from bootstrap.recipes.expand import DrawnWith, expand, with_advice
from bootstrap.shots import Shot

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
        drawing={"negative_prompt": "text"},
    )
    assert shot.negative_prompt == "text, blurry, red apple"


def test_add_puts_a_tag_in_and_replace_exchanges_one() -> None:
    added, replaced = shots(
        {"kind": "add", "count": 1, "tags": ["sunglasses"]},
        {"kind": "replace", "count": 1, "tag": "red apple", "by": ["blue ball"]},
    )
    assert (added.prompt, added.added) == (CAPTION + ", sunglasses", ("sunglasses",))
    assert replaced.prompt == "woman, blue ball, teal wall, window"
    assert (replaced.eliminated, replaced.added) == (("red apple",), ("blue ball",))


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


def test_the_id_is_of_what_decides_the_pixels() -> None:
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
    recipes = [{**recipe, "snapshot": one} for recipe, one in zip(RECIPES, snapshots, strict=True)]
    return settings.parse({"project": {"caption": CAPTION}, "recipe": recipes}, "project.toml")


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
    assert added.prompt == r"saber \(fate\), hat, \[red\] bow, (smile:1.2)"
    assert eliminated.prompt == r"saber \(fate\), hat"
    assert eliminated.negative_prompt == r"\[red\] bow"


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
    assert all(shot.prompt == f"{CAPTION}, {shot.added[0]}" for shot in drawn)
    assert shots({**recipe, "count": 4}) == drawn[:4]
