"""A review on Paper Town, for benchmarks/curation.py: real candidates, and a reviewer with fixed tastes.

The reviewer is Paper Town's tagger (99 % right, see docs/papertown.md). It accepts a picture that shows every tag of
its shot's prompt, including the accent, which only a LoRA can know, no eliminated tag, and still the same person. So
its verdicts depend on the recipe, the strength, the snapshot and how the picture turned out, as a person's do.
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
STAYS_THE_SAME = 0.8  # an accepted picture keeps at least this share of the subject's attributes
# Ranges as a user sets them who does not yet know what works.
RANGES = "strength = [0.6, 0.7, 0.8, 0.9, 1.0]\nsnapshot = [4, 6]"


@dataclass(frozen=True)
class Reviewed:
    """A generation after its review."""

    drawn: int
    wanted: NDArray[np.bool_]  # whether the reviewer accepts each reviewed candidate, in the order of drawing
    order: list[int]  # the reviewed candidates' indices in the order of review
    order_untagged: list[int]  # the same, ranked without the tagger's score, since the tagger is the reviewer

    @property
    def picks(self) -> int:
        """The number of accepted candidates."""
        return int(self.wanted.sum())

    def early(self, order: list[int]) -> int:
        """Return the number of picks in the first quarter of the queue."""
        return int(self.wanted[order[: self.quarter]].sum())

    @property
    def by_chance(self) -> float:
        """The mean number of picks in a quarter of a queue in random order."""
        return self.picks * self.quarter / max(1, len(self.wanted))

    @property
    def quarter(self) -> int:
        """The number of candidates in a quarter of the queue."""
        return round(QUARTER * len(self.wanted))


def review_tables(folder: Path, seeds: int, count: int) -> Iterator[str]:
    """Run two generations of a project for each seed, the second with and without the adaptive plan; yield tables.

    Args:
        folder: for the workspaces; work that an earlier run has done there is not repeated.
        seeds: the number of originals.
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
    yield "Generation 2 from the same dataset and LoRA, the same number of shots with and without the adaptive plan."
    yield ""
    yield "| seed | shots | picks, adaptive | picks without | share of those shown, adaptive | without |"
    yield "|---|---|---|---|---|---|"
    for seed, with_plan, without in second:
        picks = f"{with_plan.picks} | {without.picks}"
        yield f"| {seed} | {with_plan.drawn} | {picks} | {_share(with_plan)} | {_share(without)} |"
    pairs = [(with_plan, without) for _, with_plan, without in second]
    sums = [sum(reviewed.picks for reviewed in side) for side in zip(*pairs, strict=True)]
    drawn = sum(with_plan.drawn for with_plan, _ in pairs)
    yield (
        f"| all | {drawn} | "
        + " | ".join(f"{picks} ({picks / max(1, drawn):.0%})" for picks in sums)
        + " | | |"
    )


def _share(reviewed: Reviewed) -> str:
    return f"{reviewed.picks / max(1, len(reviewed.wanted)):.0%} of {len(reviewed.wanted)}"


def _line(seed: int, number: int, reviewed: Reviewed) -> str:
    early, untagged = reviewed.early(reviewed.order), reviewed.early(reviewed.order_untagged)
    by_chance = reviewed.by_chance
    times = [f"{picks / by_chance:.2f}" if reviewed.picks else "" for picks in (early, untagged)]
    cells = [seed, number, len(reviewed.wanted), reviewed.picks, early, f"{by_chance:.1f}", *times]
    return f"| {' | '.join(map(str, cells))} |"


def _project(folder: Path, seed: int, count: int) -> Project:
    """Return the project of a seed; make it if missing."""
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
    """Return the bench's recipes except the one that replicates, as TOML, all with the same wide ranges."""
    tables = bench.recipes(scene, count).split("\n[[recipe]]\n")[2:]
    without_ranges = [
        "".join(f"{line}\n" for line in table.splitlines() if not line.startswith(("strength", "snapshot")))
        for table in tables
    ]
    return "".join(f"\n[[recipe]]\n{table}{RANGES}\n" for table in without_ranges)


def _train_second(made: Project) -> None:
    """Grow the dataset and train generation 2, unless that is done."""
    catalog = Catalog(made.workspace.catalog_url)
    if len(generations.statuses(catalog, made.name)) < 2:
        growth.grow(made, catalog)
        with running.exclusively(made):
            generation.train(generation.prepare(made, catalog))
    catalog.close()


def _drawn(made: Project, number: int) -> tuple[Project, int]:
    """Run a generation up to its review, unless that is done; return the arguments of `_review`."""
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
    """Review a generation in the order of its queue, which is reranked along the way.

    The ranking also learns from the verdicts of earlier generations.
    """
    catalog = Catalog(made.workspace.catalog_url)
    published = candidates.candidates(catalog, made.name, generation=number)
    judged = bench.judge_candidates(made, seed, published, tagger)
    wanted = np.array([_accepts(j) for j in judged], bool)
    rows, vectors = ranking.read(catalog, made.name)
    rows = [replace(row, verdict=Verdict.UNDECIDED) if row.generation == number else row for row in rows]
    # The indices of this generation's rows, in the same order as `published`.
    indices = [index for index, row in enumerate(rows) if row.generation == number]
    position_of = {index: position for position, index in enumerate(indices)}
    orders = []
    for tagged in (True, False):
        reviewed = go_through(
            rows if tagged else [replace(row, scores=(*row.scores[:3], None)) for row in rows],
            vectors, dict(zip(indices, wanted.tolist(), strict=True)),
        )  # fmt: skip
        orders.append([position_of[index] for index in reviewed])
    for verdict, accepted in ((Verdict.ACCEPT, True), (Verdict.REJECT, False)):
        ids = [
            candidate.id
            for candidate, is_wanted in zip(published, wanted, strict=True)
            if is_wanted == accepted and candidate.verdict is Verdict.UNDECIDED
        ]
        if ids:
            verdicts.decide(catalog, made.name, ids, verdict, REVIEWER)
    drawn = len(candidates.candidates(catalog, made.name, generation=number, state=None))
    catalog.close()
    return Reviewed(drawn, wanted, orders[0], orders[1])


def _accepts(judged: bench.Judged) -> bool:
    shot = judged.candidate.shot
    follows_prompt = set(shot.tags) <= judged.seen and not judged.seen & set(shot.eliminated)
    return follows_prompt and bench.subject_kept(judged) >= STAYS_THE_SAME
