"""The kinds of recipes: the seeds and ids of their shots stay as they were."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from bootstrap.planning.expand import expand
from bootstrap.project import settings
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.registry import RECIPES, AnyRecipe
from tests.planning.test_expand import CAPTION, EVERY_KIND, WITH_INPUTS

# Recorded when all kinds were in one file, and the schedule was no setting. Seeds are derived from a recipe's JSON, so
# another order of its keys, or another value, would change the seeds of every project's shots.
RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text("utf-8"))


@pytest.mark.parametrize("recorded", RECORDED["json"], ids=lambda recorded: recorded["table"]["kind"])
def test_the_json_that_seeds_follow_from_stays(recorded: dict[str, Any]) -> None:
    recipe: Recipe = TypeAdapter(AnyRecipe).validate_python(recorded["table"])
    assert type(recipe) is RECIPES[recipe.kind]
    assert recipe.model_dump_json(exclude={"count"}) == recorded["json"]


@pytest.mark.parametrize(
    "recipe",
    [recipe for recipe in EVERY_KIND if recipe["kind"] in RECORDED["shots"]],
    ids=lambda recipe: recipe["kind"],
)
def test_the_ids_of_the_shots_stay(recipe: dict[str, Any]) -> None:
    raw = {
        "project": {"caption": CAPTION}, "recipe": [recipe], "drawing": {"negative_prompt": "blurry"}
    }  # fmt: skip
    shots = expand(settings.parse(raw, "project.toml"), dataclasses.replace(WITH_INPUTS, older_rule=True))
    ids = " ".join(shot.id for shot in shots)
    assert hashlib.sha256(ids.encode()).hexdigest()[:16] == RECORDED["shots"][recipe["kind"]]


def test_every_kind_says_what_it_is_for_and_has_its_settings_in_the_usual_order() -> None:
    for kind, model in RECIPES.items():
        names = list(model.model_fields)
        assert names[0] == "kind" and names[-1] == "negative_prompt"
        assert [name for name in names if name in ("count", "strength", "snapshot")] == [
            "count", "strength", "snapshot"
        ]  # fmt: skip
        assert model.model_fields["kind"].default == kind
        assert model.purpose() and not model.purpose().endswith(".")
