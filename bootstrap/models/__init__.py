"""Base models: which there are, what each one is, and how it is loaded."""
