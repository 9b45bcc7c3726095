"""What the next generation spends its shots on: more of what became picks before, and of all that was asked for some.

Thompson sampling: the chance of a recipe, of a pair of strength and snapshot, of a tag, to give a pick is unknown;
its verdicts leave it a Beta distribution. For each shot one value is drawn from each of these, and the highest wins.
So what has often been picked is drawn more, and what was seldom tried still gets its turns.
See W. R. Thompson, "On the likelihood that one unknown probability exceeds another", 1933.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bootstrap.catalog.tallies import Tally
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.recipe import Recipe

FLOOR = 0.25  # of a recipe's count is drawn as it says, whatever became of it before
MOST = 2.0  # times a recipe's count is the most that it gets: a dataset of replicas only teaches nothing


@dataclass(frozen=True)
class Slot:
    """What a shot of a recipe draws."""

    idea: int  # its number among the recipe's ideas
    strength: float
    snapshot: int


@dataclass(frozen=True)
class Odds:
    """How often something became a pick."""

    picks: int = 0
    spent: int = 0

    def sample(self, random: Random) -> float:
        """Return a chance of a pick that these figures leave possible, 0 to 1."""
        return random.betavariate(1 + self.picks, 1 + self.spent - self.picks)


def in_turn(recipe: Recipe, ideas: Sequence[Idea], index: int, seed: int) -> Slot:
    """Return the slot number `index` of a recipe that takes its ideas, strengths and snapshots in turn.

    Args:
        seed: of the shot.
    """
    pairs = pairs_of(recipe)
    # Ideas and pairs both go round; the shift makes every idea meet every pair before one comes again.
    pair = index + index // math.lcm(len(ideas), len(pairs))
    if recipe.by_quota:  # its ideas have several rhythms, and chance falls into none
        pair = seed
    return Slot(index % len(ideas), *pairs[pair % len(pairs)])


def pairs_of(recipe: Recipe) -> list[tuple[float, int]]:
    """Return the pairs of strength and snapshot that a recipe asks for."""
    if recipe.snapshot == "auto":
        raise ValueError(f"recipe '{recipe.kind}': the adviser has not chosen a snapshot yet")
    return [(strength, snapshot) for snapshot in recipe.snapshot for strength in recipe.strength]


def learned(
    recipes: Sequence[Recipe], ideas: Sequence[Sequence[Idea]], tallies: Sequence[Tally], seed: int
) -> list[list[Slot | None]]:
    """Share out as many shots as the recipes ask for in all.

    Args:
        recipes: with numbers for snapshots.
        ideas: of each recipe.
        tallies: what became of earlier shots.
        seed: the same one gives the same answer.

    Returns:
        The slots of each recipe; None is for one that it takes in turn, and those come first.
    """
    random = Random(seed)
    slots: list[list[Slot | None]] = [[None] * math.ceil(FLOOR * recipe.count) for recipe in recipes]
    odds = [odds_of(recipe, own, tallies) for recipe, own in zip(recipes, ideas, strict=True)]
    by_pair = [
        [odds_of(recipe, own, tallies, pair=pair) for pair in pairs_of(recipe)]
        for recipe, own in zip(recipes, ideas, strict=True)
    ]
    by_idea = [
        [odds_of(recipe, [idea], tallies) for idea in own] for recipe, own in zip(recipes, ideas, strict=True)
    ]
    while sum(map(len, slots)) < sum(recipe.count for recipe in recipes):
        open_ = [number for number, recipe in enumerate(recipes) if len(slots[number]) < MOST * recipe.count]
        chosen = open_[_best([odds[number] for number in open_], random)]
        recipe, own = recipes[chosen], slots[chosen]
        strength, snapshot = pairs_of(recipe)[_best(by_pair[chosen], random)]
        # Quotas are what a person wants of a dataset, whatever is picked most.
        idea = len(own) % len(ideas[chosen]) if recipe.by_quota else _best(by_idea[chosen], random)
        own.append(Slot(idea, strength, snapshot))
    return slots


def odds_of(
    recipe: Recipe,
    ideas: Sequence[Idea],
    tallies: Sequence[Tally],
    pair: tuple[float, int] | None = None,
) -> Odds:
    """Return what became of earlier shots of these ideas of a recipe, with this strength and snapshot where given.

    Only shots that the recipe could have asked for count: another one of its kind may be weaker or stronger.
    """
    wanted = {(idea.eliminated, idea.added) for idea in ideas}
    pairs = [pair] if pair else None if recipe.has_other_strengths else pairs_of(recipe)
    mine = [
        tally
        for tally in tallies
        if tally.recipe == recipe.kind
        and (tally.eliminated, tally.added) in wanted
        and (pairs is None or (tally.strength, tally.snapshot) in pairs)
    ]
    return Odds(sum(tally.picks for tally in mine), sum(tally.spent for tally in mine))


def _best(odds: Sequence[Odds], random: Random) -> int:
    values = [one.sample(random) for one in odds]
    return values.index(max(values))
