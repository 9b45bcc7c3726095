"""From a recipe to shots."""
