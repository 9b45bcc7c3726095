"""The recipe `replicate`."""

from typing import Literal

from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import Count, Snapshots, Strengths


class ReplicateRecipe(Recipe):
    """Draw the whole caption at full strength with a late snapshot: as close to the original as the LoRA gets."""

    advised = "replication"

    kind: Literal["replicate"] = "replicate"
    count: Count = 8
    strength: Strengths = [1.0]
    snapshot: Snapshots = [6]
