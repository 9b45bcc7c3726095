"""The loop as Prefect flows: one generation, the night's round over all projects, and what serves them."""
