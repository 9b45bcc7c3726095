"""Does the next generation's LoRA know more? On the workspace of benchmarks/bootstrapping.py, with the same reviewer.

    python benchmarks/generations.py --workspace bench-workspace

Each generation's last snapshot draws the same shots: the caption, and its changes as benchmarks/advising.py asks for
them, all at strengths 0.9 and 1.0. Only projects that have all generations are counted. Prints the table and writes it
to benchmarks/results/generations.md.
"""

import argparse
from pathlib import Path

import advising
import bootstrapping as bench
import numpy as np

from bootstrap.catalog import Catalog, generations, trainings
from bootstrap.drawing.sheet import with_value
from bootstrap.files import write_text
from bootstrap.models import loading
from bootstrap.papertown.tagger import PapertownTagger
from bootstrap.project.projects import Project, Workspace

RESULTS = Path(__file__).parent / "results" / "generations.md"
LAST = 3
COLUMNS = (
    "caption, 0.9: all tags and accent seen",
    "caption, 1.0",
    "eliminated, 0.9: acceptable",
    "eliminated, 1.0",
    "replaced, 0.9: acceptable",
    "replaced, 1.0",
)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workspace", type=Path, required=True)
    workspace = Workspace.locate(parser.parse_args().workspace)
    catalog = Catalog(workspace.catalog_url)
    tagger = PapertownTagger.bundled()
    names = [
        name
        for name in workspace.project_names()
        if len([one for one in generations.statuses(catalog, name) if one.number <= LAST]) == LAST
    ]
    found = np.zeros((LAST, len(names), len(COLUMNS)))
    for place, name in enumerate(names):
        for number in range(1, LAST + 1):
            found[number - 1, place] = shares(workspace.project(name), catalog, number, tagger)
        print(name, np.round(found[:, place], 2).tolist(), flush=True)
    lines = ["| LoRA | " + " | ".join(COLUMNS) + " |", "|---" * (1 + len(COLUMNS)) + "|"]
    for number in range(1, LAST + 1):
        means = " | ".join(f"{mean:.1%}" for mean in found[number - 1].mean(axis=0))
        lines.append(f"| of generation {number} | {means} |")
    text = "# Does the next generation's LoRA know more?\n\n`python benchmarks/generations.py`, "
    text += f"{len(names)} originals of benchmarks/bootstrapping.py\n\n" + "\n".join(lines)
    print(text)
    write_text(RESULTS, text + "\n")


def shares(project: Project, catalog: Catalog, number: int, tagger: PapertownTagger) -> list[float]:
    """How often the last snapshot of a generation does what is asked, for each of COLUMNS, 0 to 1."""
    training = trainings.of_generation(catalog, project.name, number)
    assert training is not None
    base = loading.hold(project.base_model)
    original = int(project.name.rsplit("-", 1)[1])
    last = training.snapshots[-1].epoch
    asked = [
        (one, strength, with_value(one.shot, "strength", strength))
        for one in advising.shots_of(project, base, training, original, last)
        if one.use != advising.VARY  # the caption once
        for strength in (0.9, 1.0)
    ]
    shown = advising.seen_in(project, catalog, training, [shot for _, _, shot in asked], tagger)
    accent = bench.original(original).accent
    done: dict[tuple[str, float], list[bool]] = {}
    for (one, strength, shot), seen in zip(asked, shown, strict=True):
        kind = "caption" if not one.gone else "eliminated" if shot.negative_prompt else "replaced"
        fits = {*one.tags, accent} <= seen and one.gone not in seen
        done.setdefault((kind, strength), []).append(fits)
    kinds = ("caption", "eliminated", "replaced")
    return [float(np.mean(done[kind, strength])) for kind in kinds for strength in (0.9, 1.0)]


if __name__ == "__main__":
    main()
