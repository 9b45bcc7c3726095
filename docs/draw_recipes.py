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
from bootstrap.catalog import Catalog
from bootstrap.catalog.candidates import candidates
from bootstrap.loop import generation
from bootstrap.models import specs
from bootstrap.pictures import contact_sheet
from bootstrap.pictures.contact_sheet import Cell
from bootstrap.project.projects import Project, Workspace, create

PAGE = Path(__file__).with_name("recipes.md")
ORIGINALS = Path(papertown.__file__).parent / "originals"
MOST = 8  # pictures of one kind on its sheet


def examples(page: str) -> dict[str, str]:
    """Return the TOML text of each kind's example."""
    blocks = [part.split("```")[0] for part in page.split("```toml\n")[1:]]
    return {tomllib.loads(block)["recipe"][0]["kind"]: block for block in blocks}


def made(workspace: Workspace, name: str, recipes: str) -> Project:
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
    given = parser.parse_args()
    found = examples(PAGE.read_text())
    if given.other:
        lines = found["restyle"].splitlines()
        found["restyle"] = "\n".join(
            f"base_model = '{given.other}'" if line.startswith("base_model") else line for line in lines
        )
    else:
        del found["restyle"]
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        catalog = Catalog(workspace.catalog_url)
        second = made(workspace, "medal", found["vary"])
        generation.train(second, catalog, generation.prepare(second, catalog))
        project = made(workspace, "badge", "\n".join(found.values()))
        number = generation.prepare(project, catalog)
        generation.train(project, catalog, number)
        started = time.monotonic()
        generation.draw(project, catalog, number)
        drawn = candidates(catalog, project.name, state=None)
        print(f"{len(drawn)} pictures in {time.monotonic() - started:.0f} s")
        original = Cell(images.open_picture(project.original), ("original",))
        for kind in found:
            cells = [original]
            for one in [one for one in drawn if one.shot.recipe == kind][:MOST]:
                changed = [f"no {tag}" for tag in one.shot.eliminated] + list(one.shot.added)
                label = f"{one.shot.strength:.2f} of snapshot {one.shot.snapshot}", ", ".join(changed)
                cells.append(Cell(images.open_picture(project.folder / one.path), label))
            given.folder.mkdir(parents=True, exist_ok=True)
            contact_sheet.draw(kind, cells, MOST + 1).save(
                given.folder / f"{kind}.webp", quality=85, method=6
            )
    print(f"{len(found)} sheets in {given.folder}")


if __name__ == "__main__":
    main()
