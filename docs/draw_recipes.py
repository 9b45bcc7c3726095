"""Draws the examples of docs/recipes.md with Paper Town: `python docs/draw_recipes.py [FOLDER]`.

Makes the projects `badge` and `medal` in a temporary workspace, trains both, draws each example, and writes one sheet
for each kind of recipe: the original first, then the drawings. `restyle` needs a second base model: `papertown-ink` if
the package has it, or `--other MODEL`; without either it is skipped.
"""

import argparse
import tempfile
import time
import tomllib
from pathlib import Path

from bootstrap import images, papertown
from bootstrap.catalog.candidates import candidates
from bootstrap.loop import generation
from bootstrap.models import specs
from bootstrap.pictures import contact_sheet
from bootstrap.pictures.contact_sheet import Cell
from bootstrap.project.projects import Project, Workspace, create

PAGE = Path(__file__).with_name("recipes.md")
ORIGINALS = Path(papertown.__file__).parent / "originals"
MOST = 8  # largest number of pictures on a sheet, beside the original


def examples(page: str) -> dict[str, str]:
    """Return the TOML text of each recipe kind's example."""
    blocks = [part.split("```")[0] for part in page.split("```toml\n")[1:]]
    return {tomllib.loads(block)["recipe"][0]["kind"]: block for block in blocks}


def make_project(workspace: Workspace, name: str, recipes: str) -> Project:
    """Make a project from a bundled original."""
    caption = (ORIGINALS / f"{name}.txt").read_text()
    return create(workspace, name, ORIGINALS / f"{name}.png", caption, recipes=f"\n{recipes}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=PAGE.with_suffix(""))
    ink = "papertown-ink" if "papertown-ink" in specs.embedded_names() else None
    parser.add_argument("--other", default=ink, help="base model to restyle with")
    arguments = parser.parse_args()
    recipes = examples(PAGE.read_text())
    if arguments.other:
        lines = recipes["restyle"].splitlines()
        recipes["restyle"] = "\n".join(
            f"base_model = '{arguments.other}'" if line.startswith("base_model") else line for line in lines
        )
    else:
        del recipes["restyle"]
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        catalog = workspace.open_catalog()
        second = make_project(workspace, "medal", recipes["vary"])
        generation.train(generation.prepare(second, catalog))
        project = make_project(workspace, "badge", "\n".join(recipes.values()))
        begun = generation.prepare(project, catalog)
        generation.train(begun)
        started = time.monotonic()
        generation.draw(begun)
        drawn = candidates(catalog, project.name, state=None)
        print(f"{len(drawn)} pictures in {time.monotonic() - started:.0f} s")
        original = Cell(images.open_picture(project.original), ("original",))
        for kind in recipes:
            cells = [original]
            for candidate in [candidate for candidate in drawn if candidate.shot.recipe == kind][:MOST]:
                shot = candidate.shot
                changes = [f"no {tag}" for tag in shot.eliminated] + list(shot.added)
                label = f"{shot.strength:.2f} of snapshot {shot.snapshot}", ", ".join(changes)
                cells.append(Cell(images.open_picture(project.folder / candidate.path), label))
            arguments.folder.mkdir(parents=True, exist_ok=True)
            contact_sheet.compose(kind, cells, MOST + 1).save(
                arguments.folder / f"{kind}.webp", quality=85, method=6
            )
    print(f"{len(recipes)} sheets in {arguments.folder}")


if __name__ == "__main__":
    main()
