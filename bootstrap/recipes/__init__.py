"""The kinds of recipes: a file for each, listed in the registry; and what their settings are made of."""
