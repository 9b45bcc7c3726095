"""The demo: a project made from one of Paper Town's own pictures, small enough for a plain CPU."""

from contextlib import closing
from importlib.resources import as_file, files
from pathlib import Path

from bootstrap.catalog import generations
from bootstrap.project import projects
from bootstrap.project.projects import Project, Workspace

NAME = "demo"
_ORIGINAL = "badge"

# Fifty pictures take a CPU about a minute; every recipe of the method is used.
_RECIPES = """
# What to draw. With Stable Diffusion, strength 1.0 replicates, 0.8 eliminates, 0.6 varies and adds, and below 0.5 the
# base model dominates. With this small model's LoRAs, late snapshots at 0.8 and 0.9 follow the prompt and keep the
# badge, which the model has never seen; early snapshots and lower strengths lose it.
# strength and snapshot take one value, a list, or a range such as { from = 0.5, to = 0.7, step = 0.1 }.
# snapshot = "auto" measures all snapshots after training and uses the one that suits the recipe.

[[recipe]]
kind = "vary"  # the whole caption, at a strength that leaves the base model freedom
count = 8
strength = { from = 0.7, to = 1.0, step = 0.1 }
snapshot = [4, 6]

[[recipe]]
kind = "eliminate"  # leave out a tag to remove what it names
tags = ["holding red apple", "window", "papers on desk", "smile"]
as_negative = true  # also put it into the negative prompt, for stubborn ones
count = 12
strength = [0.8, 0.9]
snapshot = [4, 5]

[[recipe]]
kind = "add"  # add what the original does not have
tags = ["sunglasses", "round glasses"]
count = 8
strength = [0.6, 0.8]
snapshot = [3, 5]

[[recipe]]
kind = "replace"  # exchange a tag of the caption for another
tag = "teal wall"
by = ["pink wall", "yellow wall", "purple wall", "white wall", "orange wall", "green wall", "gray wall", "red wall"]
count = 12
strength = [0.8, 0.9]
snapshot = [4, 5]

[[recipe]]
kind = "replace"
tag = "holding red apple"
by = [
  "holding green cup", "holding yellow flower", "holding blue book", "holding pink balloon",
  "holding purple ball", "holding orange fish", "holding white star", "holding teal cup",
]
count = 12
strength = [0.8, 0.9]
snapshot = [4, 5]
"""


def project(workspace: Workspace) -> Project:
    """Return the demo project; make it if it does not exist."""
    if NAME in workspace.project_names():
        return workspace.project(NAME)
    originals = files("bootstrap") / "papertown" / "originals"
    caption = (originals / f"{_ORIGINAL}.txt").read_text("utf-8")
    with as_file(originals / f"{_ORIGINAL}.png") as picture:
        return projects.create(workspace, NAME, picture, caption, recipes=_RECIPES)


def needs_run(demo: Project) -> bool:
    """Return whether no candidates are up for review yet; if some are, `make demo` goes straight to the app."""
    with closing(demo.workspace.open_catalog()) as catalog:
        return not any(status.state.is_up_for_review for status in generations.statuses(catalog, demo.name))


def pictures(demo: Project) -> Path:
    """Return the folder of the latest generation's candidates."""
    with closing(demo.workspace.open_catalog()) as catalog:
        return demo.generation_folder(generations.latest(catalog, demo.name) or 1) / "candidates"
