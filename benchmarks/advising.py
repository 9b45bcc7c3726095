"""Is the adviser's snapshot the best one? On the workspace of benchmarks/bootstrapping.py, with the same reviewer.

    python benchmarks/advising.py --workspace bench-workspace

Of each original, every snapshot of generation 1 draws the caption (at strength 1.0 to replicate, at 0.9 to vary) and
its changes (at 0.9: each tag that can be left out, and three other things to hold). The snapshot that the adviser names
for each of the three is set against the one that proves best for this original, the one that is best for all originals
together, and a snapshot taken by chance. Prints the table and writes it to benchmarks/results/advising.md.
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
class Asked:
    """A shot of one snapshot, and what it is to show."""

    use: str  # a key of USES
    shot: Shot
    tags: frozenset[str]
    gone: str = ""  # the tag that was left out


# What a snapshot is for, and which one the adviser names for it.
USES = {
    "replicate (1.0): share of tags and accent seen": lambda advice: advice.replication,
    "change (0.9): acceptable": lambda advice: advice.middle,
    "vary (0.9): accent seen": lambda advice: advice.variation,
}
REPLICATE, CHANGE, VARY = USES


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workspace", type=Path, required=True)
    workspace = Workspace.locate(parser.parse_args().workspace)
    catalog = Catalog(workspace.catalog_url)
    tagger = PapertownTagger.bundled()
    found = []
    for name in workspace.project_names():
        found.append(of_project(workspace.project(name), catalog, tagger))
        advice = found[-1][0]
        print(
            f"{name}: vary {advice.variation}, change {advice.middle}, replicate {advice.replication}",
            flush=True,
        )
    text = "# The adviser's snapshot against the best one\n\n`python benchmarks/advising.py`, "
    text += f"{len(found)} originals of benchmarks/bootstrapping.py, generation 1\n\n" + "\n".join(
        table(found)
    )
    print(text)
    write_text(RESULTS, text + "\n")


def of_project(
    project: Project, catalog: Catalog, tagger: PapertownTagger
) -> tuple[Advice, dict[str, NDArray[np.float64]]]:
    """The advice on generation 1, and how well each snapshot does for each use, 0 to 1."""
    generation = Generation(project, catalog, 1)
    advice, _ = advise(generation, silent)
    training = generation.training()
    assert training is not None
    number = int(project.name.rsplit("-", 1)[1])
    base = loading.hold(project.base_model)
    accent = bench.original(number).accent
    scores: dict[str, list[list[float]]] = {use: [] for use in USES}
    for snapshot in [one.epoch for one in training.snapshots]:
        asked = list(shots_of(generation, base, training, number, snapshot))
        for use in USES:
            scores[use].append([])
        shown = seen_in(project, catalog, training, [one.shot for one in asked], tagger)
        for one, seen in zip(asked, shown, strict=True):
            scores[one.use][-1].append(_score(one, seen, accent))
    return advice, {use: np.array([np.mean(values) for values in rows]) for use, rows in scores.items()}


def seen_in(
    project: Project, catalog: Catalog, training: Training, shots: Sequence[Shot], tagger: PapertownTagger
) -> list[set[str]]:
    """Draw shots, and return the tags that the tagger sees in each."""
    loras = open_loras(Generation(project, catalog, 1), training, shots)
    batch_size = project.settings.drawing.batch_size
    pictures = {
        drawing.shot.id: drawing.picture
        for batch in engine.draw_batches(loading.hold(project.base_model), shots, loras, batch_size)
        for drawing in batch
    }
    readings = tagger.attributes(as_tensor([pictures[shot.id] for shot in shots]))
    return [{tag for tag, _ in reading.tags()} for reading in readings]


def shots_of(
    generation: Generation, base: BaseModel, training: Training, number: int, snapshot: int
) -> Iterator[Asked]:
    """What one snapshot is asked to draw."""
    tags = generation.settings.project.tags
    scene = bench.original(number)
    common = with_value(common_shot(generation, base, training, None), "snapshot", snapshot)

    def shot(shown: Sequence[str], strength: float, seed: int, negative: str = "") -> Shot:
        made = dataclasses.replace(
            common, prompt=captions.join(shown), negative_prompt=negative, seed=1000 + seed
        )
        return with_value(made, "strength", strength)

    for seed in range(SEEDS):
        yield Asked(REPLICATE, shot(tags, 1.0, seed), frozenset(tags))
        yield Asked(VARY, shot(tags, 0.9, seed), frozenset(tags))
    leavable = [tag for name, tag in bench.tags_by_attribute(scene).items() if name in bench.LEAVABLE]
    for seed, tag in enumerate(leavable):
        left = captions.without(tags, [tag])
        yield Asked(CHANGE, shot(left, 0.9, seed, tag), frozenset(left), tag)
    held = next(tag for tag in world.tags(scene) if tag.startswith("holding"))
    for seed, instead in enumerate(HELD_INSTEAD):
        if instead != held:
            changed = captions.replaced(tags, held, instead)
            yield Asked(CHANGE, shot(changed, 0.9, seed), frozenset(changed), held)


def _score(one: Asked, seen: set[str], accent: str) -> float:
    if one.use == VARY:
        return float(accent in seen)
    wanted = {*one.tags, accent}
    if one.use == REPLICATE:
        return len(wanted & seen) / len(wanted)
    return float(wanted <= seen and one.gone not in seen)


def table(found: Sequence[tuple[Advice, dict[str, NDArray[np.float64]]]]) -> list[str]:
    """The table: means over originals; the adviser's snapshots are counted beside."""
    lines = [
        "| to | adviser's snapshot | the best for each | the best for all | by chance | adviser's choices |",
        "|---" * 6 + "|",
    ]
    for use, choose in USES.items():
        scores = np.array([values[use] for _, values in found])  # (originals, snapshots)
        chosen = np.array([choose(advice) for advice, _ in found])
        advised = scores[np.arange(len(found)), chosen - 1].mean()
        fixed = scores.mean(axis=0)
        names = ", ".join(
            f"{epoch}: {int((chosen == epoch).sum())}" for epoch in sorted(set(chosen.tolist()))
        )
        lines.append(
            f"| {use} | **{advised:.1%}** | {scores.max(axis=1).mean():.1%} | {fixed.max():.1%} "
            f"(snapshot {fixed.argmax() + 1}) | {scores.mean():.1%} | {names} |"
        )
    return lines


if __name__ == "__main__":
    main()
