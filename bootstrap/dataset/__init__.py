"""The dataset of a project: what is in it, how it grows, and how it leaves the house."""
