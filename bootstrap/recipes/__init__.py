"""The kinds of recipes, a file each, listed in the registry; and the types of their settings."""
