"""Share out the next generation's shots: more for what became picks before, and some for everything asked for.

This is Thompson sampling. The chance that a recipe, a pair of strength and snapshot, or a tag yields a pick is unknown;
its verdicts so far give a Beta distribution. For each shot one value is sampled from each distribution, and the highest
wins. So what was often picked is drawn more, and what was seldom tried still gets its turn.
See W. R. Thompson, "On the likelihood that one unknown probability exceeds another", 1933.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bootstrap.catalog.tallies import Tally
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.recipe import Recipe

FLOOR = 0.25  # share of a recipe's count that is drawn in turn, whatever was picked before
MOST = 2.0  # a recipe gets at most this many times its count: a dataset of replicas alone teaches nothing


@dataclass(frozen=True)
class Slot:
    """The idea, strength and snapshot of one shot of a recipe."""

    idea: int  # index among the recipe's ideas
    strength: float
    snapshot: int


@dataclass(frozen=True)
class Odds:
    """How many of the shots spent on something became picks."""

    picks: int = 0
    spent: int = 0

    def sample(self, random: Random) -> float:
        """Sample the chance of a pick, 0 to 1, from the Beta distribution that these counts give."""
        return random.betavariate(1 + self.picks, 1 + self.spent - self.picks)


def in_turn(recipe: Recipe, ideas: Sequence[Idea], index: int, seed: int) -> Slot:
    """Return slot number `index` of a recipe that takes its ideas, strengths and snapshots in turn.

    Args:
        seed: the seed of the shot.
    """
    snapshots = _numbers(recipe)
    pairs = len(snapshots) * len(recipe.strength)
    # Ideas and pairs both cycle; the shift makes every idea meet every pair before a combination repeats.
    pair = index + index // math.lcm(len(ideas), pairs)
    if recipe.by_quota:  # the ideas repeat in several cycles: a random pair falls into step with none of them
        pair = seed
    snapshot, strength = divmod(pair % pairs, len(recipe.strength))  # indices, in the order of pairs_of
    return Slot(index % len(ideas), recipe.strength[strength], snapshots[snapshot])


def pairs_of(recipe: Recipe) -> list[tuple[float, int]]:
    """Return the pairs of strength and snapshot that a recipe asks for."""
    return [(strength, snapshot) for snapshot in _numbers(recipe) for strength in recipe.strength]


def _numbers(recipe: Recipe) -> list[int]:
    if recipe.snapshot == "auto":
        raise ValueError(f"recipe '{recipe.kind}': the adviser has not chosen a snapshot yet")
    return recipe.snapshot


def share_out(
    recipes: Sequence[Recipe], ideas: Sequence[Sequence[Idea]], tallies: Sequence[Tally], seed: int
) -> list[list[Slot | None]]:
    """Share out as many shots as the recipes ask for in all, by the verdicts on earlier shots.

    Args:
        recipes: recipes with numbers for snapshots.
        ideas: the ideas of each recipe.
        tallies: the verdicts on earlier shots.
        seed: the same seed gives the same slots.

    Returns:
        The slots of each recipe. The first ones are None: the recipe fills them in turn, see in_turn.
    """
    random = Random(seed)
    slots: list[list[Slot | None]] = [[None] * math.ceil(FLOOR * recipe.count) for recipe in recipes]
    odds = [odds_of(recipe, of_recipe, tallies) for recipe, of_recipe in zip(recipes, ideas, strict=True)]
    by_pair = [
        [odds_of(recipe, of_recipe, tallies, pair=pair) for pair in pairs_of(recipe)]
        for recipe, of_recipe in zip(recipes, ideas, strict=True)
    ]
    by_idea = [
        [odds_of(recipe, [idea], tallies) for idea in of_recipe]
        for recipe, of_recipe in zip(recipes, ideas, strict=True)
    ]
    while sum(map(len, slots)) < sum(recipe.count for recipe in recipes):
        open_ = [number for number, recipe in enumerate(recipes) if len(slots[number]) < MOST * recipe.count]
        chosen = open_[_best([odds[number] for number in open_], random)]
        recipe, recipe_slots = recipes[chosen], slots[chosen]
        strength, snapshot = pairs_of(recipe)[_best(by_pair[chosen], random)]
        # Quotas say what a person wants in the dataset, whatever is picked most.
        idea = len(recipe_slots) % len(ideas[chosen]) if recipe.by_quota else _best(by_idea[chosen], random)
        recipe_slots.append(Slot(idea, strength, snapshot))
    return slots


def odds_of(
    recipe: Recipe,
    ideas: Sequence[Idea],
    tallies: Sequence[Tally],
    pair: tuple[float, int] | None = None,
) -> Odds:
    """Return how many earlier shots of these ideas of a recipe became picks.

    Only shots that the recipe could have asked for count, as another recipe of its kind may be weaker or stronger.

    Args:
        pair: count only shots of this strength and snapshot; None: of any that the recipe asks for.
    """
    wanted = {(idea.eliminated, idea.added) for idea in ideas}
    pairs = [pair] if pair else None if recipe.has_other_strengths else pairs_of(recipe)
    matching = [
        tally
        for tally in tallies
        if tally.recipe == recipe.kind
        and (tally.eliminated, tally.added) in wanted
        and (pairs is None or (tally.strength, tally.snapshot) in pairs)
    ]
    return Odds(sum(tally.picks for tally in matching), sum(tally.spent for tally in matching))


def _best(odds: Sequence[Odds], random: Random) -> int:
    values = [candidate.sample(random) for candidate in odds]
    return values.index(max(values))
