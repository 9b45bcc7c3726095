"""A review on Paper Town, for benchmarks/curation.py: real candidates, and a reviewer with fixed tastes.

The reviewer is Paper Town's tagger (99 % right, see docs/papertown.md). They accept a picture where all that its shot
asked for is seen, the accent too, which only a LoRA can know, nothing that it left out, and somebody who is still the
same.
So what they want depends on recipe, strength, snapshot and on how the picture came out, as with people.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import bootstrapping as bench
import numpy as np
from numpy.typing import NDArray
from queueing import go_through

from bootstrap import captions
from bootstrap.catalog import Catalog, candidates, generations, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.curation import ranking
from bootstrap.dataset import growth
from bootstrap.loop import generation
from bootstrap.papertown import data, world
from bootstrap.papertown.tagger import PapertownTagger
from bootstrap.project import editing, projects, running
from bootstrap.project.projects import Project, Workspace

REVIEWER = "tagger"
QUARTER = 0.25
STAYS_THE_SAME = 0.8  # share of the subject's attributes that a picture keeps where it is accepted
# Ranges as somebody sets them who does not know yet what works.
RANGES = "strength = [0.6, 0.7, 0.8, 0.9, 1.0]\nsnapshot = [4, 6]"


@dataclass(frozen=True)
class Reviewed:
    """A generation after its review."""

    drawn: int
    wanted: NDArray[np.bool_]  # of each that was shown, in the order of drawing
    order: list[int]  # in which the reviewer met them
    order_untagged: list[int]  # the same without the tagger's score, which is from the reviewer's own eyes

    @property
    def picks(self) -> int:
        """How many were accepted."""
        return int(self.wanted.sum())

    def early(self, order: list[int]) -> int:
        """Picks in the first quarter of the queue."""
        return int(self.wanted[order[: self.quarter]].sum())

    @property
    def by_chance(self) -> float:
        """Picks that a quarter holds in random order, on average."""
        return self.picks * self.quarter / max(1, len(self.wanted))

    @property
    def quarter(self) -> int:
        """How many candidates that is."""
        return round(QUARTER * len(self.wanted))


def run(folder: Path, seeds: int, count: int) -> Iterator[str]:
    """Two generations of a project for each seed, the second with the adaptive plan and without; yield tables.

    Args:
        folder: for workspaces; what is there already is not done again.
        seeds: how many originals.
        count: candidates of each recipe in a generation.
    """
    tagger = PapertownTagger.bundled()
    yield "| seed | generation | shown | picks | in the first 25 % | by chance | times | without the tagger's score |"
    yield "|---|---|---|---|---|---|---|---|"
    second: list[tuple[int, Reviewed, Reviewed]] = []
    for seed in range(seeds):
        adaptive, plain = folder / f"{seed}-adaptive", folder / f"{seed}-plain"
        first = _review(*_drawn(_project(adaptive, seed, count), 1), seed, tagger)
        yield _line(seed, 1, first)
        if not first.picks:
            continue
        if not plain.is_dir():
            _train_second(_project(adaptive, seed, count))
            shutil.copytree(adaptive, plain)  # the same dataset, the same LoRA
        editing.set_values(_project(plain, seed, count), ["curation.adaptive=false"])
        with_plan = _review(*_drawn(_project(adaptive, seed, count), 2), seed, tagger)
        yield _line(seed, 2, with_plan)
        without = _review(*_drawn(_project(plain, seed, count), 2), seed, tagger)
        second.append((seed, with_plan, without))
    yield ""
    yield "Generation 2, by the same dataset and LoRA: what came of as many shots with the adaptive plan and without."
    yield ""
    yield "| seed | shots | picks, adaptive | picks without | share of those shown, adaptive | without |"
    yield "|---|---|---|---|---|---|"
    for seed, one, other in second:
        yield f"| {seed} | {one.drawn} | {one.picks} | {other.picks} | {_share(one)} | {_share(other)} |"
    sums = [sum(one.picks for one in side) for side in zip(*[(a, b) for _, a, b in second], strict=True)]
    drawn = sum(one.drawn for _, one, _ in second)
    yield (
        f"| all | {drawn} | "
        + " | ".join(f"{picks} ({picks / max(1, drawn):.0%})" for picks in sums)
        + " | | |"
    )


def _share(one: Reviewed) -> str:
    return f"{one.picks / max(1, len(one.wanted)):.0%} of {len(one.wanted)}"


def _line(seed: int, number: int, one: Reviewed) -> str:
    early, untagged = one.early(one.order), one.early(one.order_untagged)
    times = [f"{found / one.by_chance:.2f}" if one.picks else "" for found in (early, untagged)]
    cells = [seed, number, len(one.wanted), one.picks, early, f"{one.by_chance:.1f}", *times]
    return f"| {' | '.join(map(str, cells))} |"


def _project(folder: Path, seed: int, count: int) -> Project:
    """The project of a seed, made when it is not there yet."""
    workspace = Workspace.locate(folder)
    if "review" in workspace.project_names():
        return workspace.project("review")
    scene = bench.original(seed)
    picture = folder / "original.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    world.render(scene, data.SIZE).save(picture)
    return projects.create(
        workspace, "review", picture, captions.join(world.tags(scene)), "papertown", _recipes(scene, count)
    )


def _recipes(scene: world.Scene, count: int) -> str:
    """The bench's recipes but the one that only replicates, as TOML, all with the same wide ranges."""
    tables = bench.recipes(scene, count).split("\n[[recipe]]\n")[2:]
    kept = [
        "".join(f"{line}\n" for line in table.splitlines() if not line.startswith(("strength", "snapshot")))
        for table in tables
    ]
    return "".join(f"\n[[recipe]]\n{table}{RANGES}\n" for table in kept)


def _train_second(made: Project) -> None:
    """Grow, and train generation 2."""
    catalog = Catalog(made.workspace.catalog_url)
    if len(generations.statuses(catalog, made.name)) < 2:
        growth.grow(made, catalog)
        with running.exclusively(made):
            generation.train(generation.prepare(made, catalog))
    catalog.close()


def _drawn(made: Project, number: int) -> tuple[Project, int]:
    """Run a generation up to its review, unless that is done."""
    catalog = Catalog(made.workspace.catalog_url)
    states = [status.state for status in generations.statuses(catalog, made.name)]
    if len(states) < number or states[number - 1] not in ("published", "grown"):
        with running.exclusively(made):
            begun = generation.prepare(made, catalog)
            generation.train(begun)
            generation.draw(begun)
            generation.curate(begun)
            generation.publish(begun)
    catalog.close()
    return made, number


def _review(made: Project, number: int, seed: int, tagger: PapertownTagger) -> Reviewed:
    """Go through the queue as it is ranked anew, with the verdicts of earlier generations known."""
    catalog = Catalog(made.workspace.catalog_url)
    found = candidates.candidates(catalog, made.name, generation=number)
    wanted = np.array([_likes(one) for one in bench.judge(made, seed, found, tagger)], bool)
    rows, vectors = ranking.read_candidates(catalog, made.name)
    rows = [replace(row, verdict="undecided") if row.generation == number else row for row in rows]
    mine = [index for index, row in enumerate(rows) if row.generation == number]  # in the same order
    place = {index: position for position, index in enumerate(mine)}
    orders = []
    for tagged in (True, False):
        seen = go_through(
            rows if tagged else [replace(row, scores=(*row.scores[:3], None)) for row in rows],
            vectors, dict(zip(mine, wanted.tolist(), strict=True)),
        )  # fmt: skip
        orders.append([place[index] for index in seen])
    for verdict, chosen in ((Verdict.ACCEPT, True), (Verdict.REJECT, False)):
        left = [
            one.id
            for one, likes in zip(found, wanted, strict=True)
            if likes == chosen and one.verdict is Verdict.UNDECIDED
        ]
        if left:
            verdicts.decide(catalog, made.name, left, verdict, REVIEWER)
    drawn = len(candidates.candidates(catalog, made.name, generation=number, state=None))
    catalog.close()
    return Reviewed(drawn, wanted, orders[0], orders[1])


def _likes(judged: bench.Judged) -> bool:
    shot = judged.candidate.shot
    as_asked = set(shot.tags) <= judged.seen and not judged.seen & set(shot.eliminated)
    return as_asked and bench.subject_kept(judged) >= STAYS_THE_SAME
