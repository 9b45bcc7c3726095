"""The bench: which candidates it accepts, what counts as achieved, and that its recipes are valid."""

import importlib.util
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("resvg_py", reason="drawing Paper Town needs the extra `papertown`")

from bootstrap import captions
from bootstrap.catalog.candidates import Candidate
from bootstrap.papertown import world
from bootstrap.project import settings
from bootstrap.shots import LoraUse, Shot


@pytest.fixture(scope="module")
def bench():
    path = Path(__file__).parents[2] / "benchmarks" / "bootstrapping.py"
    spec = importlib.util.spec_from_file_location("bootstrapping", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bootstrapping"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bootstrapping"]


@pytest.fixture
def whole(bench):
    """A candidate of original 0, drawn from its whole caption, in which the tagger sees every tag."""
    scene = bench.original(0)
    shot = Shot(
        prompt=", ".join(world.tags(scene)), negative_prompt="", seed=0, steps=16, sampler="DDIM",
        cfg_scale=3.0, width=128, height=128, base_model="papertown", base_model_hash="0" * 64,
        loras=(LoraUse("bench-000006", "t", 6, 1.0),), recipe="vary",
    )  # fmt: skip
    candidate = Candidate("0" * 16, 1, shot, Path("x.png"), "published", None, "undecided", "", None)
    return bench.Judged(0, candidate, frozenset(world.tags(scene)), world.attributes(scene))


def _with_shot(judged, **changes):
    return replace(
        judged, candidate=replace(judged.candidate, shot=replace(judged.candidate.shot, **changes))
    )


def test_recipes_of_every_original_are_valid_settings(bench):
    kinds = set()
    for number in range(20):
        scene = bench.original(number)
        assert scene.accent and scene.prop and scene.wall
        raw = tomllib.loads(bench.recipes(scene, count=6))
        raw["project"] = {"caption": captions.join(world.tags(scene))}
        kinds |= {recipe.kind for recipe in settings.parse(raw, "project.toml").recipe}
    assert kinds == {"vary", "eliminate", "add", "replace"}


def test_a_candidate_is_accepted_only_if_it_shows_every_tag_of_its_prompt(bench, whole):
    scene = bench.original(0)
    held = f"holding {scene.prop.color} {scene.prop.kind}"
    assert bench.acceptable(whole)
    assert not bench.acceptable(replace(whole, seen=whole.seen - {held}))

    left_out = _with_shot(
        whole, prompt=whole.candidate.shot.prompt.replace(f"{held}, ", ""), eliminated=(held,)
    )
    assert not bench.acceptable(left_out)
    assert bench.acceptable(replace(left_out, seen=whole.seen - {held}))
    assert not bench.acceptable(replace(left_out, seen=whole.seen - {held, scene.accent}))


def test_effects_are_counted_by_recipe(bench, whole):
    count = len(whole.candidate.shot.tags)
    assert whole.recipe == "replicate"
    assert bench.achieved(replace(whole, seen=frozenset(whole.candidate.shot.tags[1:]))) == pytest.approx(
        1 - 1 / count
    )
    replaced = _with_shot(whole, recipe="replace", eliminated=("red wall",), added=("outdoors, beach",))
    assert bench.achieved(replaced) == 0
    assert bench.achieved(replace(replaced, seen=frozenset({"outdoors", "beach"}))) == 1
    assert bench.achieved(replace(replaced, seen=frozenset({"outdoors", "beach", "red wall"}))) == 0


def test_tables_have_rows_for_recipes_and_generations(bench, whole):
    second = replace(whole.candidate, generation=2)
    duplicate = replace(whole, candidate=replace(whole.candidate, state="duplicate"))
    text = bench.tables(
        [whole, replace(whole, seen=frozenset()), replace(whole, candidate=second), duplicate]
    )
    assert "| replicate | 1.0 | 4 | 75.0 % (75.0 to 75.0) | 3 | 66.7 % (66.7 to 66.7) |" in text
    assert "| 1 | 2 | 50.0 % (50.0 to 50.0) |" in text
    assert "| 2 | 1 | 100.0 % (100.0 to 100.0) |" in text


def test_picks_early_in_the_queue_are_compared_with_chance(bench, whole):
    missed = replace(whole, seen=frozenset())
    other = replace(whole, original=1)  # no pick there: original 1 has another accent
    group = [
        whole,
        missed,
        missed,
        missed,
        missed,
        missed,
        missed,
        whole,
        other,
        replace(other, seen=frozenset()),
    ]
    assert bench.picks_in_queue(group) == (2, 1, pytest.approx(2 * 2 / 8))
    assert "| 1 | 2 | 1 | 2.00 |" in bench.tables(group)
