"""The recipe `vary`."""

from typing import Literal

from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import Count, Snapshots, Strengths


class VaryRecipe(Recipe):
    """Draw the whole caption at a strength that leaves the base model room."""

    advised = "variation"
    example = """\
[[recipe]]
kind = "vary"  # the whole caption, at a strength that leaves the base model room
count = 24
strength = [0.6, 0.7]
snapshot = [2, 3]
"""

    kind: Literal["vary"] = "vary"
    count: Count = 24
    strength: Strengths = [0.6]
    snapshot: Snapshots = [2, 3]
