"""Is the adviser's snapshot the best one? On the workspace of benchmarks/bootstrapping.py, with the same reviewer.

    python benchmarks/advising.py --workspace bench-workspace

For each original, every snapshot of generation 1 draws the caption (at strength 1.0 to replicate, at 0.9 to vary) and
changed captions (at 0.9: without each tag that can be eliminated, and with three other things to hold). For each of
these three uses, the snapshot that the adviser recommends is compared with the best snapshot of this original, the best
one for all originals together, and a random one. Prints the table and writes it to benchmarks/results/advising.md.
"""

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import bootstrapping as bench
import numpy as np
from numpy.typing import NDArray

from bootstrap import captions
from bootstrap.adviser.advising import advise
from bootstrap.catalog import Catalog
from bootstrap.catalog.advices import Advice
from bootstrap.catalog.trainings import Training
from bootstrap.drawing import engine
from bootstrap.drawing.candidate_drawing import open_loras
from bootstrap.drawing.sheet import common_shot, with_value
from bootstrap.files import write_text
from bootstrap.models import loading
from bootstrap.models.family import BaseModel
from bootstrap.papertown import world
from bootstrap.papertown.tagger import PapertownTagger, as_tensor
from bootstrap.progress import silent
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, Workspace
from bootstrap.shots import Shot

RESULTS = Path(__file__).parent / "results" / "advising.md"
SEEDS = 6  # of the caption
HELD_INSTEAD = ("holding red apple", "holding blue book", "holding yellow star")


@dataclass(frozen=True)
class Task:
    """A shot to draw with one snapshot, and the tags that its picture has to show."""

    use: str  # a key of USES
    shot: Shot
    tags: frozenset[str]
    eliminated: str = ""  # the tag that the picture must not show


# The uses of a snapshot, each with a function that returns the snapshot that the adviser recommends for it.
USES = {
    "replicate (1.0): share of tags and accent seen": lambda advice: advice.replication,
    "change (0.9): acceptable": lambda advice: advice.middle,
    "vary (0.9): accent seen": lambda advice: advice.variation,
}
REPLICATE, CHANGE, VARY = USES


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workspace", type=Path, required=True)
    workspace = Workspace.locate(parser.parse_args().workspace)
    catalog = Catalog(workspace.catalog_url)
    tagger = PapertownTagger.bundled()
    results = []
    for name in workspace.project_names():
        advice, scores = advice_and_scores(workspace.project(name), catalog, tagger)
        results.append((advice, scores))
        print(
            f"{name}: vary {advice.variation}, change {advice.middle}, replicate {advice.replication}",
            flush=True,
        )
    text = "# The adviser's snapshot against the best one\n\n`python benchmarks/advising.py`, "
    text += f"{len(results)} originals of benchmarks/bootstrapping.py, generation 1\n\n"
    text += "\n".join(table(results))
    print(text)
    write_text(RESULTS, text + "\n")


def advice_and_scores(
    project: Project, catalog: Catalog, tagger: PapertownTagger
) -> tuple[Advice, dict[str, NDArray[np.float64]]]:
    """Return the advice on generation 1, and each snapshot's score for each use, (snapshots,), 0 to 1."""
    generation = Generation(project, catalog, 1)
    advice, _ = advise(generation, silent)
    training = generation.training()
    assert training is not None
    number = int(project.name.rsplit("-", 1)[1])
    base = loading.hold(project.base_model)
    accent = bench.original(number).accent
    scores: dict[str, list[list[float]]] = {use: [] for use in USES}
    for epoch in [snapshot.epoch for snapshot in training.snapshots]:
        tasks = list(tasks_of_snapshot(generation, base, training, number, epoch))
        for use in USES:
            scores[use].append([])
        tags_seen = drawn_and_tagged(project, catalog, training, [task.shot for task in tasks], tagger)
        for task, seen in zip(tasks, tags_seen, strict=True):
            scores[task.use][-1].append(_score(task, seen, accent))
    return advice, {use: np.array([np.mean(values) for values in rows]) for use, rows in scores.items()}


def drawn_and_tagged(
    project: Project, catalog: Catalog, training: Training, shots: Sequence[Shot], tagger: PapertownTagger
) -> list[set[str]]:
    """Draw shots; return the tags that the tagger sees in each picture."""
    loras = open_loras(Generation(project, catalog, 1), training, shots)
    batch_size = project.settings.drawing.batch_size
    pictures = {
        drawing.shot.id: drawing.picture
        for batch in engine.draw_batches(loading.hold(project.base_model), shots, loras, batch_size)
        for drawing in batch
    }
    readings = tagger.attributes(as_tensor([pictures[shot.id] for shot in shots]))
    return [{tag for tag, _ in reading.tags()} for reading in readings]


def tasks_of_snapshot(
    generation: Generation, base: BaseModel, training: Training, number: int, snapshot: int
) -> Iterator[Task]:
    """Yield everything that one snapshot has to draw; `number` is that of the original."""
    tags = generation.settings.project.tags
    scene = bench.original(number)
    common = with_value(common_shot(generation, base, training, None), "snapshot", snapshot)

    def shot(tags: Sequence[str], strength: float, seed: int, negative: str = "") -> Shot:
        changed = dataclasses.replace(
            common, prompt=captions.join(tags), negative_prompt=negative, seed=1000 + seed
        )
        return with_value(changed, "strength", strength)

    for seed in range(SEEDS):
        yield Task(REPLICATE, shot(tags, 1.0, seed), frozenset(tags))
        yield Task(VARY, shot(tags, 0.9, seed), frozenset(tags))
    leavable = [tag for name, tag in bench.tags_by_attribute(scene).items() if name in bench.LEAVABLE]
    for seed, tag in enumerate(leavable):
        remaining = captions.without(tags, [tag])
        yield Task(CHANGE, shot(remaining, 0.9, seed, tag), frozenset(remaining), tag)
    held = next(tag for tag in world.tags(scene) if tag.startswith("holding"))
    for seed, instead in enumerate(HELD_INSTEAD):
        if instead != held:
            changed = captions.replaced(tags, held, instead)
            yield Task(CHANGE, shot(changed, 0.9, seed), frozenset(changed), held)


def _score(task: Task, seen: set[str], accent: str) -> float:
    if task.use == VARY:
        return float(accent in seen)
    wanted = {*task.tags, accent}
    if task.use == REPLICATE:
        return len(wanted & seen) / len(wanted)
    return float(wanted <= seen and task.eliminated not in seen)


def table(results: Sequence[tuple[Advice, dict[str, NDArray[np.float64]]]]) -> list[str]:
    """Return the lines of the table: means over originals, and how often the adviser chose each snapshot."""
    lines = [
        "| to | adviser's snapshot | the best for each | the best for all | by chance | adviser's choices |",
        "|---" * 6 + "|",
    ]
    for use, choose in USES.items():
        scores = np.array([values[use] for _, values in results])  # (originals, snapshots)
        chosen = np.array([choose(advice) for advice, _ in results])
        advised = scores[np.arange(len(results)), chosen - 1].mean()
        by_snapshot = scores.mean(axis=0)
        choices = ", ".join(
            f"{epoch}: {int((chosen == epoch).sum())}" for epoch in sorted(set(chosen.tolist()))
        )
        lines.append(
            f"| {use} | **{advised:.1%}** | {scores.max(axis=1).mean():.1%} | {by_snapshot.max():.1%} "
            f"(snapshot {by_snapshot.argmax() + 1}) | {scores.mean():.1%} | {choices} |"
        )
    return lines


if __name__ == "__main__":
    main()
