"""Does the next generation's LoRA know more? On the workspace of benchmarks/bootstrapping.py, with the same reviewer.

    python benchmarks/generations.py --workspace bench-workspace

The last snapshot of each generation draws the same shots: the caption, and the changed captions of
benchmarks/advising.py, all at strengths 0.9 and 1.0. Only projects with all three generations count. Prints the table
and writes it to benchmarks/results/generations.md.
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
from bootstrap.project.generation import Generation
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
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workspace", type=Path, required=True)
    workspace = Workspace.locate(parser.parse_args().workspace)
    catalog = Catalog(workspace.catalog_url)
    tagger = PapertownTagger.bundled()
    names = [
        name
        for name in workspace.project_names()
        if sum(status.number <= LAST for status in generations.statuses(catalog, name)) == LAST
    ]
    results = np.zeros((LAST, len(names), len(COLUMNS)))
    for index, name in enumerate(names):
        for number in range(1, LAST + 1):
            results[number - 1, index] = success_rates(workspace.project(name), catalog, number, tagger)
        print(name, np.round(results[:, index], 2).tolist(), flush=True)
    lines = ["| LoRA | " + " | ".join(COLUMNS) + " |", "|---" * (1 + len(COLUMNS)) + "|"]
    for number in range(1, LAST + 1):
        means = " | ".join(f"{mean:.1%}" for mean in results[number - 1].mean(axis=0))
        lines.append(f"| of generation {number} | {means} |")
    text = "# Does the next generation's LoRA know more?\n\n`python benchmarks/generations.py`, "
    text += f"{len(names)} originals of benchmarks/bootstrapping.py\n\n" + "\n".join(lines)
    print(text)
    write_text(RESULTS, text + "\n")


def success_rates(project: Project, catalog: Catalog, number: int, tagger: PapertownTagger) -> list[float]:
    """Return for each of COLUMNS the share, 0 to 1, of shots that the generation's last snapshot draws rightly."""
    training = trainings.of_generation(catalog, project.name, number)
    assert training is not None
    base = loading.hold(project.base_model)
    original = int(project.name.rsplit("-", 1)[1])
    last = training.snapshots[-1].epoch
    tasks = [
        (task, strength, with_value(task.shot, "strength", strength))
        for task in advising.tasks_of_snapshot(
            Generation(project, catalog, 1), base, training, original, last
        )
        if task.use != advising.VARY  # REPLICATE draws the same caption already
        for strength in (0.9, 1.0)
    ]
    shots = [shot for _, _, shot in tasks]
    tags_seen = advising.drawn_and_tagged(project, catalog, training, shots, tagger)
    accent = bench.original(original).accent
    successes: dict[tuple[str, float], list[bool]] = {}
    for (task, strength, shot), seen in zip(tasks, tags_seen, strict=True):
        kind = "caption" if not task.eliminated else "eliminated" if shot.negative_prompt else "replaced"
        succeeded = {*task.tags, accent} <= seen and task.eliminated not in seen
        successes.setdefault((kind, strength), []).append(succeeded)
    kinds = ("caption", "eliminated", "replaced")
    return [float(np.mean(successes[kind, strength])) for kind in kinds for strength in (0.9, 1.0)]


if __name__ == "__main__":
    main()
