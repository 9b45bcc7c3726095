"""The demo: a project made from one of Paper Town's own pictures, small enough for a plain CPU."""

from contextlib import closing
from importlib.resources import as_file, files
from pathlib import Path

from bootstrap.catalog import Catalog, generations
from bootstrap.project import projects
from bootstrap.project.projects import Project, Workspace

NAME = "demo"
_ORIGINAL = "badge"

# Fifty pictures take a CPU about a minute; each recipe of the method has its turn.
_RECIPES = """
# What to draw. strength 1.0 replicates, 0.8 eliminates, 0.6 varies and adds, below 0.5 the base model leads: so it
# is with Stable Diffusion. Of this small model's LoRAs, late snapshots at 0.8 and 0.9 obey and have the badge, which
# the model never saw; early ones and lower strengths are without it.
# strength and snapshot take one value, a list, or a range such as { from = 0.5, to = 0.7, step = 0.1 }.
# snapshot = "auto" measures all snapshots after training and takes the one that suits the recipe.

[[recipe]]
kind = "vary"  # the whole caption, at a strength that leaves the base model room
count = 8
strength = { from = 0.7, to = 1.0, step = 0.1 }
snapshot = [4, 6]

[[recipe]]
kind = "eliminate"  # leave a tag out, and what it names goes
tags = ["holding red apple", "window", "papers on desk", "smile"]
as_negative = true  # and into the negative prompt, for those that are stubborn
count = 12
strength = [0.8, 0.9]
snapshot = [4, 5]

[[recipe]]
kind = "add"  # put in what the original does not have
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
    """Return the demo project, made when it is not there yet."""
    if NAME in workspace.project_names():
        return workspace.project(NAME)
    originals = files("bootstrap") / "papertown" / "originals"
    caption = (originals / f"{_ORIGINAL}.txt").read_text("utf-8")
    with as_file(originals / f"{_ORIGINAL}.png") as picture:
        return projects.create(workspace, NAME, picture, caption, recipes=_RECIPES)


def needs_run(demo: Project) -> bool:
    """Whether there are no candidates to review yet; a second `make demo` goes straight to the app."""
    with closing(Catalog(demo.workspace.catalog_url)) as catalog:
        return not any(one.state.is_up_for_review for one in generations.statuses(catalog, demo.name))


def pictures(demo: Project) -> Path:
    """The folder of the latest generation's candidates."""
    with closing(Catalog(demo.workspace.catalog_url)) as catalog:
        return demo.generation_folder(generations.latest(catalog, demo.name) or 1) / "candidates"
