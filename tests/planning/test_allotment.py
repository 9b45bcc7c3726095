"""How the next generation's shots are shared out: by earlier verdicts, within what the recipes ask for."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from making import bring
from typer.testing import CliRunner

from bootstrap.catalog import Catalog, generations, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.catalog.tallies import Tally
from bootstrap.cli.main import app
from bootstrap.planning.expand import DrawnWith, expand
from bootstrap.project import editing, settings
from bootstrap.shots import LoraUse, Shot
from tests import making

CAPTION = "woman, red apple, teal wall, window"
WITH = DrawnWith("papertown", "b" * 64, "t" * 64, "demo-g02", 2, 128, 128)
VARY = {"kind": "vary", "count": 40, "strength": [0.6, 0.8], "snapshot": [4]}
ELIMINATE = {"kind": "eliminate", "count": 40, "strength": [0.8], "snapshot": [4]}


def vary(strength: float, picks: int, spent: int) -> Tally:
    return Tally("vary", (), (), strength, 4, picks, spent)


def without(tag: str, picks: int, spent: int) -> Tally:
    return Tally("eliminate", (tag,), (), 0.8, 4, picks, spent)


def shots(*recipes: dict[str, Any], tallies: tuple[Tally, ...] = ()) -> list[Shot]:
    raw = {"project": {"caption": CAPTION}, "recipe": list(recipes)}
    return expand(settings.parse(raw, "project.toml"), replace(WITH, tallies=tallies))


def test_the_strength_that_gave_picks_is_drawn_more_and_the_other_one_still_a_little() -> None:
    drawn = shots(VARY, tallies=(vary(0.6, 1, 30), vary(0.8, 20, 30)))
    by_strength = Counter(shot.strength for shot in drawn)
    assert by_strength.total() == 40
    assert by_strength[0.8] >= 32
    assert by_strength[0.6] >= 5  # half of the quarter that is drawn in turn


def test_two_recipes_of_a_kind_have_each_their_own_history() -> None:
    weak, strong = {**VARY, "strength": [0.6]}, {**VARY, "strength": [0.9]}
    drawn = shots(weak, strong, tallies=(vary(0.6, 0, 30), vary(0.9, 20, 30)))
    assert Counter(shot.strength for shot in drawn)[0.9] >= 65


def test_what_was_never_tried_is_tried() -> None:
    drawn = shots(VARY, tallies=(vary(0.8, 3, 30),))
    assert Counter(shot.strength for shot in drawn)[0.6] >= 20


def test_the_tags_that_went_well_are_drawn_more() -> None:
    drawn = shots(
        ELIMINATE,
        tallies=(without("window", 18, 20), without("red apple", 0, 20), without("teal wall", 0, 20)),
    )
    assert Counter(shot.eliminated for shot in drawn)[("window",)] >= 30
    assert len({shot.eliminated for shot in drawn}) == 3


def test_a_recipe_that_gives_picks_takes_from_another_but_not_all() -> None:
    tallies = (vary(0.6, 1, 60), vary(0.8, 1, 60), without("window", 40, 60))
    drawn = Counter(shot.recipe for shot in shots(VARY, {**ELIMINATE, "count": 12}, tallies=tallies))
    assert drawn == {"eliminate": 24, "vary": 28}  # twice its count and no more
    drawn = Counter(shot.recipe for shot in shots(VARY, ELIMINATE, tallies=tallies))
    assert drawn.total() == 80
    assert drawn["vary"] >= 10
    assert drawn["eliminate"] > 60


def test_quotas_are_kept() -> None:
    aspects = [
        {"name": "pose", "tags": ["standing", "sitting"]},
        {"name": "place", "tags": ["beach"], "quota": 2},
    ]
    recipe = {"kind": "bootstrap", "aspects": aspects, "mixed": 0, "count": 30, "strength": [0.6, 0.7]}
    known = Tally("bootstrap", (), ("standing",), 0.7, 3, 30, 30)
    drawn = shots(recipe, tallies=(known,))
    assert Counter(shot.added for shot in drawn) == {("beach",): 20, ("standing",): 5, ("sitting",): 5}
    assert Counter(shot.strength for shot in drawn)[0.7] > 18


@hypothesis_settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.6, 0.7, 0.8, 1.0]), st.integers(0, 20), st.integers(0, 20)),
        max_size=6,
        unique_by=lambda entry: entry[0],
    ),
    st.integers(1, 50),
    st.integers(1, 50),
)
def test_whatever_was_learned_as_many_shots_are_drawn_as_asked_for_and_each_recipe_has_its_share(
    known: list[tuple[float, int, int]], first: int, second: int
) -> None:
    tallies = tuple(vary(strength, picks, picks + misses) for strength, picks, misses in known)
    recipes = {**VARY, "count": first}, {**ELIMINATE, "count": second}
    drawn = shots(*recipes, tallies=tallies)
    assert drawn == shots(*recipes, tallies=tallies)
    counts = Counter(shot.recipe for shot in drawn)
    assert counts.total() == first + second
    for kind, count in (("vary", first), ("eliminate", second)):
        assert count / 4 <= counts[kind] <= 2 * count


def judged(folder: Path) -> tuple[Any, Catalog, list[str]]:
    """A project whose first generation was reviewed: strength 0.8 gives picks, 0.6 does not."""
    made = making.make_project(folder)
    text = made.toml.read_text().split("# What to draw.")[0]
    made.toml.write_text(
        text + '[[recipe]]\nkind = "vary"\ncount = 12\nstrength = [0.6, 0.8]\nsnapshot = 4\n', "utf-8"
    )
    catalog = making.open_catalog(made)
    drawn = [
        making.shot(number, loras=(LoraUse("apple-g01-000004", "t" * 64, 4, 0.8 if number % 2 else 0.6),))
        for number in range(20)
    ]
    ids = making.add_published(made, catalog, 1, len(drawn), drawn)
    verdicts.decide(catalog, made.name, ids[1::2], Verdict.ACCEPT, "anna")
    verdicts.decide(catalog, made.name, ids[0::2], Verdict.REJECT, "anna")
    return made.workspace.project(made.name), catalog, ids


def test_a_generation_uses_the_verdicts_known_when_it_began(tmp_path: Path) -> None:
    made, catalog, ids = judged(tmp_path)
    bring(made, catalog, 1, "grown")
    assert generations.begin(catalog, made.name) == 2
    known = generations.tallies_of(catalog, made.name, 2)
    assert known == (
        Tally("vary", (), (), 0.6, 4, picks=0, spent=10),
        Tally("vary", (), (), 0.8, 4, picks=10, spent=10),
    )
    verdicts.decide(catalog, made.name, ids, Verdict.REJECT, "anna")
    assert generations.tallies_of(catalog, made.name, 2) == known
    assert [tally.picks for tally in generations.tallies_of(catalog, made.name, 3)] == [0, 0]


def test_the_plan_says_who_gets_how_many_and_why_and_it_can_be_switched_off(tmp_path: Path) -> None:
    made, catalog, _ = judged(tmp_path)
    bring(made, catalog, 1, "grown")
    command = ["--workspace", str(made.workspace.folder), "plan", made.name]
    output = CliRunner().invoke(app, command).output
    assert "12 asked for; 10 of 20 earlier ones became picks (50%)" in output
    weak = re.search(r"strength 0.6, snapshot 4: (\d+) shots; 0 of 10 earlier ones became picks", output)
    strong = re.search(r"strength 0.8, snapshot 4: (\d+) shots; 10 of 10 earlier ones became picks", output)
    assert weak and strong
    assert int(strong[1]) >= 8
    assert int(weak[1]) + int(strong[1]) == 12
    editing.set_values(made, ["curation.adaptive=false"])
    assert "earlier ones" not in CliRunner().invoke(app, command).output
