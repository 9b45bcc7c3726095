"""A project that is trained in a second or two."""

from pathlib import Path

from bootstrap.catalog import Catalog
from bootstrap.loop import generation
from bootstrap.project.projects import Project, Workspace, create

RECIPES = """
[[recipe]]
kind = "vary"
count = 4
strength = [0.6, 1.0]
snapshot = 2
"""
CHANGES = {"repeats": 2, "train_batch_size": 1, "epochs": 2, "network_dim": 4, "steps": 2, "batch_size": 2}


def small_trained_project(folder: Path, originals: Path) -> Project:
    """Make a small project and train it; nothing is drawn yet."""
    project = create(Workspace(folder), "badge", originals / "badge.png", "woman, red apple", recipes=RECIPES)
    lines = project.toml.read_text().splitlines()
    for key, value in CHANGES.items():
        (line_number,) = [number for number, line in enumerate(lines) if line.startswith(f"{key} = ")]
        lines[line_number] = f"{key} = {value}"
    project.toml.write_text("\n".join(lines))
    catalog = Catalog(project.workspace.catalog_url)
    generation.train(generation.prepare(project, catalog))
    return project
