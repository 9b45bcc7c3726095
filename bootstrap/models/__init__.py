"""Base models: finding, describing and loading them."""
