"""Does bootstrapping work? The whole loop on Paper Town, with its tagger as the reviewer.

    python benchmarks/bootstrapping.py --originals 10 --workspace bench-workspace

The tags of every picture of Paper Town are known exactly, so no opinion is involved: the reviewer accepts a
candidate if and only if the tagger sees every tag of its shot's prompt and the accent, and none of the eliminated tags.
The reviewer follows the order of the queue, which is reranked from its verdicts as in the app.
A run with an existing workspace resumes: nothing is drawn twice.
Prints its tables and writes them to benchmarks/results/bootstrapping.md. Needs the extra `papertown`.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bootstrap import captions
from bootstrap.catalog import Catalog, candidates, generations, verdicts
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.states import Verdict
from bootstrap.curation import ranking
from bootstrap.dataset import growth
from bootstrap.files import write_text
from bootstrap.loop import generation
from bootstrap.papertown import data, world
from bootstrap.papertown.figures import EYEWEAR
from bootstrap.papertown.palette import COLORS
from bootstrap.papertown.scenery import OUTDOORS
from bootstrap.papertown.tagger import PapertownTagger, as_tensor
from bootstrap.papertown.tags import parts_of_tags
from bootstrap.papertown.things import ACCENTS, PROPS, WALL_ITEMS
from bootstrap.project import editing, projects, running
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, Workspace

RESULTS = Path(__file__).parent / "results" / "bootstrapping.md"
REVIEWER = "tagger"
RANKED_EVERY = 5  # verdicts
FIRST = 0.25  # the first part of the queue, whose picks are compared with chance
# The attributes that make a person the same person in every picture.
SUBJECT = ("figure", "hat", "hair", "hair_color", "skin", "beard", "accent")
# The attributes that can be eliminated without a replacement.
LEAVABLE = ("prop", "wall_item", "desk_item", "eyewear", "beard", "eyes")
# Settings of the recipes that change something: a weak, early snapshot, as the method recommends, which still follows
# the prompt but has not learnt the accent; and a strong, late one, which has learnt it (docs/bench.md).
CHANGED = ("strength = 0.6\nsnapshot = [2, 3]", "strength = [0.9, 1.0]\nsnapshot = [5, 6]")
IDEAS = 10  # other things to hold, and things to add
RESAMPLINGS = 2000
TRIES = 1000 * len(ACCENTS)  # distance of two attempts' scene numbers; it keeps the original's accent


@dataclass(frozen=True)
class Judged:
    """A candidate and what the tagger sees in it."""

    original: int
    candidate: Candidate
    seen: frozenset[str]  # tags
    attributes: dict[str, str]

    @property
    def recipe(self) -> str:
        """The recipe's name; `replicate` for `vary` at full strength."""
        shot = self.candidate.shot
        return "replicate" if shot.recipe == "vary" and shot.strength == 1.0 else shot.recipe


def main() -> None:
    """Run the bench and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--originals", type=int, default=10, help="how many projects")
    parser.add_argument("--first", type=int, default=0, help="number of the first original")
    parser.add_argument("--generations", type=int, default=3)
    parser.add_argument("--count", type=int, default=12, help="candidates of each recipe in a generation")
    parser.add_argument("--base", default="papertown", help="base model")
    parser.add_argument(
        "--tagger", type=Path, help="a file of Paper Town's tagger instead of the bundled one"
    )
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument(
        "--not-adaptive", action="store_true", help="draw every generation as the recipes say"
    )
    arguments = parser.parse_args()

    began = time.monotonic()
    tagger = PapertownTagger.load(arguments.tagger) if arguments.tagger else PapertownTagger.bundled()
    workspace = Workspace.locate(arguments.workspace)
    catalog = Catalog(workspace.catalog_url)
    judged: list[Judged] = []
    for done, number in enumerate(range(arguments.first, arguments.first + arguments.originals), 1):
        made = open_project(workspace, number, arguments.base, arguments.count, not arguments.not_adaptive)
        judged += run_loop(made, catalog, number, arguments.generations, tagger)
        print(f"original {done} of {arguments.originals}, {time.monotonic() - began:.0f} s", flush=True)
    how = f" --first {arguments.first}" if arguments.first else ""
    how += " --not-adaptive" if arguments.not_adaptive else ""
    command = f"python benchmarks/bootstrapping.py --originals {arguments.originals}{how}"
    text = (
        f"`{command}`, {arguments.generations} generations, base model {arguments.base}\n\n{tables(judged)}"
    )
    print(text)
    write_text(RESULTS.with_stem(RESULTS.stem + how.replace(" --", "-").replace(" ", "-")), text)


@cache
def original(number: int) -> world.Scene:
    """Return the scene that project `number` starts from: held out, with an accent, a prop and a wall.

    The tagger reads all of its tags correctly: a reviewer that mistakes the original's blazer for a hoodie would
    accept nothing.
    """
    scenes = (data.scene("bench accents", number + TRIES * attempt) for attempt in itertools.count())
    return next(scene for scene in scenes if scene.prop and scene.wall and _is_read_correctly(scene))


def _is_read_correctly(scene: world.Scene) -> bool:
    [reading] = PapertownTagger.bundled().attributes(as_tensor([world.render(scene, data.SIZE)]))
    return {*world.tags(scene), scene.accent} <= {tag for tag, _ in reading.tags()}


def open_project(workspace: Workspace, number: int, base: str, count: int, adaptive: bool) -> Project:
    """Return the project of an original; make it if missing."""
    name = f"bench-{number:03d}"
    if name in workspace.project_names():
        return workspace.project(name)
    scene = original(number)
    picture = workspace.folder / "originals" / f"{name}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    world.render(scene, data.SIZE).save(picture)
    made = projects.create(
        workspace, name, picture, captions.join(world.tags(scene)), base, recipes(scene, count)
    )
    editing.set_values(made, [f"curation.adaptive={str(adaptive).lower()}"])
    return workspace.project(name)


def recipes(scene: world.Scene, count: int) -> str:
    """Return the recipes of a project, as TOML: all kinds, at several strengths, `count` candidates of each change."""
    rng = random.Random(repr(scene))
    shown = world.attributes(scene)
    leavable = [tag for name, tag in tags_by_attribute(scene).items() if name in LEAVABLE]
    held = f"holding {scene.prop.color} {scene.prop.kind}"
    # Many ideas of each kind: with few, all that could be accepted after a generation or two is near-duplicates of
    # earlier picks.
    held_instead = [
        f"holding {color} {kind}"
        for color, kind in itertools.product(COLORS, PROPS)
        if color != scene.prop.color and kind != scene.prop.kind
    ]
    others = rng.sample(held_instead, IDEAS)
    additions = list(EYEWEAR) if "eyewear" not in shown and "eyes" not in shown else []
    additions += list(WALL_ITEMS) if "wall_item" not in shown else []
    additions = rng.sample(additions, min(IDEAS, len(additions)))
    additions += ["wooden desk"] if "desk" not in shown else []
    replaced = f"{scene.wall} wall"
    places = [f"outdoors, {place}" for place in rng.sample(list(OUTDOORS), len(OUTDOORS))]
    tables = [
        f'kind = "vary"\nstrength = 1.0\nsnapshot = 6\ncount = {count}',
        f'kind = "vary"\nstrength = [0.8, 0.9]\nsnapshot = 6\ncount = {count}',
    ]
    changes = [
        f'kind = "eliminate"\ntags = {_toml(leavable)}\nas_negative = true',
        f'kind = "replace"\ntag = "{held}"\nby = {_toml(others)}',
    ]
    if scene.wall_item is None:
        changes.append(f'kind = "replace"\ntag = "{replaced}"\nby = {_toml(places)}')
    if additions:
        changes.append(f'kind = "add"\ntags = {_toml(additions)}')
    half = math.ceil(count / 2)
    tables += [f"{change}\n{drawn}\ncount = {half}" for change in changes for drawn in CHANGED]
    return "".join(f"\n[[recipe]]\n{table}\n" for table in tables)


def run_loop(
    made: Project, catalog: Catalog, number: int, last: int, tagger: PapertownTagger
) -> list[Judged]:
    """Run the project's generations up to `last`; return everything drawn, judged, including duplicates.

    The project ends with the first generation in which nothing is acceptable.
    """
    judged = []
    for wanted in range(1, last + 1):
        states = [status.state for status in generations.statuses(catalog, made.name)]
        if len(states) < wanted or states[wanted - 1] not in ("published", "grown"):
            _run_generation(made, catalog, wanted)
        published = candidates.candidates(catalog, made.name, generation=wanted)
        new = judge_candidates(made, number, published, tagger)
        review(made, catalog, wanted, new)
        judged += in_order_of_review(made, catalog, wanted, new)
        drawn = candidates.candidates(catalog, made.name, generation=wanted, state=None)
        dropped = [candidate for candidate in drawn if candidate.state != "published"]
        judged += judge_candidates(made, number, dropped, tagger)
        if not any(map(acceptable, new)):
            break
        if wanted < last and states[wanted - 1 : wanted] != ["grown"]:
            growth.grow(made, catalog)
    return judged


def _run_generation(made: Project, catalog: Catalog, wanted: int) -> None:
    with running.exclusively(made):
        begun = generation.prepare(made, catalog)
        if begun.number != wanted:
            raise RuntimeError(
                f"{made.name}: generation {wanted} is next for the bench, {begun.number} for the catalog"
            )
        generation.train(begun)
        generation.draw(begun)
        generation.curate(begun)
        generation.publish(begun)


def judge_candidates(
    made: Project, number: int, to_judge: list[Candidate], tagger: PapertownTagger
) -> list[Judged]:
    """Return what the tagger sees in each candidate of the project of original `number`."""
    if not to_judge:
        return []
    pictures = as_tensor([Image.open(made.folder / candidate.path) for candidate in to_judge])
    return [
        Judged(number, candidate, frozenset(tag for tag, _ in reading.tags()), reading.attributes)
        for candidate, reading in zip(to_judge, tagger.attributes(pictures), strict=True)
    ]


def acceptable(judged: Judged) -> bool:
    """Whether the tagger sees every tag of the prompt and the accent, and no eliminated tag."""
    shot = judged.candidate.shot
    wanted = {*shot.tags, original(judged.original).accent}
    return wanted <= judged.seen and not judged.seen & set(shot.eliminated)


def review(made: Project, catalog: Catalog, wanted: int, judged: list[Judged]) -> None:
    """Decide on the undecided candidates in the order of the queue, which is reranked after every few verdicts."""
    is_pick = {j.candidate.id: acceptable(j) for j in judged}
    while queue := candidates.candidates(
        catalog, made.name, generation=wanted, verdict=Verdict.UNDECIDED, ranked=True
    ):
        for candidate in queue[:RANKED_EVERY]:
            verdict = Verdict.ACCEPT if is_pick[candidate.id] else Verdict.REJECT
            verdicts.decide(catalog, made.name, [candidate.id], verdict, REVIEWER)
        ranking.rank(Generation(made, catalog, wanted))


def in_order_of_review(made: Project, catalog: Catalog, wanted: int, judged: list[Judged]) -> list[Judged]:
    """Return a generation's judged candidates in the order of their verdicts."""
    published = candidates.candidates(catalog, made.name, generation=wanted)
    decided_at = {candidate.id: candidate.decided_at for candidate in published}
    return sorted(judged, key=lambda j: decided_at[j.candidate.id])


def achieved(judged: Judged) -> float:
    """Return how well a candidate achieves its recipe's purpose: 0 or 1; for `replicate` the share of tags seen."""
    shot = judged.candidate.shot
    if judged.recipe == "replicate":
        return sum(tag in judged.seen for tag in shot.tags) / len(shot.tags)
    if judged.recipe == "vary":
        return float(original(judged.original).accent in judged.seen)
    eliminated = not judged.seen & set(shot.eliminated)
    added = set(itertools.chain(*map(captions.parse, shot.added))) <= judged.seen
    return float(eliminated and added)


def tables(judged: list[Judged]) -> str:
    """Return the bench's tables, as Markdown. Intervals are 95 % bootstrap intervals over the originals.

    Effects are measured on everything drawn, because dropping duplicates mostly drops pictures that turned out as
    intended. Everything else is measured on what was put up for review.
    """
    lines = [
        "| recipe | strength | drawn | effect achieved | drawn in generation 1 | effect |",
        "|---" * 6 + "|",
    ]
    for (recipe, strength), group in _grouped(judged, lambda j: (j.recipe, j.candidate.shot.strength)):
        first = [j for j in group if j.candidate.generation == 1]
        early = _interval(first, achieved) if first else ""
        lines.append(
            f"| {recipe} | {strength} | {len(group)} | {_interval(group, achieved)} | {len(first)} | {early} |"
        )
    drawn_in = dict(_grouped(judged, lambda j: j.candidate.generation))
    judged = [j for j in judged if j.candidate.state == "published"]
    lines += [
        "",
        "| generation | put up | accepted | accent seen | subject kept | diversity of picks "
        "| of all drawn, acceptable |",
        "|---" * 7 + "|",
    ]
    for number, group in _grouped(judged, lambda j: j.candidate.generation):
        accent = _interval(group, lambda j: float(original(j.original).accent in j.seen))
        lines.append(
            f"| {number} | {len(group)} | {_interval(group, lambda j: float(acceptable(j)))} | {accent} "
            f"| {_interval(group, subject_kept)} | {diversity(group):.2f} "
            f"| {_interval(drawn_in[number], lambda j: float(acceptable(j)))} |"
        )
    lines += [
        "",
        "| generation | picks | in the first quarter of the queue | times chance |",
        "|---|---|---|---|",
    ]
    for number, group in _grouped(judged, lambda j: j.candidate.generation):
        picks, early, chance = picks_in_queue(group)
        times = f"{early / chance:.2f}" if chance else "no picks"
        lines.append(f"| {number} | {picks} | {early} | {times} |")
    return "\n".join(lines) + "\n"


def picks_in_queue(group: Sequence[Judged]) -> tuple[int, int, float]:
    """Count a generation's picks over all originals; `group` is in the order of review.

    Returns:
        The number of picks, how many of them are in the first quarter of each original's queue, and how many
        would be there by chance.
    """
    picks, early, chance = 0, 0, 0.0
    for _, queue in _grouped(group, lambda j: j.original):
        first = round(FIRST * len(queue))
        is_pick = [acceptable(j) for j in queue]
        picks += sum(is_pick)
        early += sum(is_pick[:first])
        chance += first / len(queue) * sum(is_pick)
    return picks, early, chance


def subject_kept(judged: Judged) -> float:
    """Return the share of the original's subject attributes, without the eliminated ones, that the candidate has."""
    scene = original(judged.original)
    changed = set(judged.candidate.shot.eliminated)
    expected = {
        name: value
        for name, value in world.attributes(scene).items()
        if name in SUBJECT and value not in changed
    }
    return sum(judged.attributes.get(name) == value for name, value in expected.items()) / len(expected)


def diversity(group: Sequence[Judged]) -> float:
    """Return the mean number of attributes in which two picks of one project differ."""
    differences = []
    for _, picks in _grouped([j for j in group if acceptable(j)], lambda j: j.original):
        for first, second in itertools.combinations(picks, 2):
            names = first.attributes.keys() | second.attributes.keys()
            differences.append(sum(first.attributes.get(n) != second.attributes.get(n) for n in names))
    return sum(differences) / len(differences) if differences else float("nan")


def _interval(group: Sequence[Judged], measure: Callable[[Judged], float]) -> str:
    """Return the mean and its 95 % bootstrap interval, in percent.

    Candidates of one original resemble each other, so originals are resampled, not candidates.
    """
    sums, counts = defaultdict(float), defaultdict(int)
    for judged in group:
        sums[judged.original] += measure(judged)
        counts[judged.original] += 1
    values, weights = np.array(list(sums.values())), np.array(list(counts.values()))
    resampled = np.random.default_rng(0).integers(len(values), size=(RESAMPLINGS, len(values)))
    means = 100 * values[resampled].sum(axis=1) / weights[resampled].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return f"{100 * values.sum() / weights.sum():.1f} % ({low:.1f} to {high:.1f})"


def _grouped(judged: Iterable[Judged], key: Callable[[Judged], Any]) -> list[tuple[Any, list[Judged]]]:
    return [(value, list(group)) for value, group in itertools.groupby(sorted(judged, key=key), key=key)]


def tags_by_attribute(scene: world.Scene) -> dict[str, str]:
    """Return the scene's tags, each keyed by the first attribute that it describes."""
    return {parts[0]: tag for tag, parts in parts_of_tags(world.attributes(scene))}


def _toml(words: list[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


if __name__ == "__main__":
    main()
