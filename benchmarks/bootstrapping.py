"""Does bootstrapping work? The whole loop on Paper Town, with its tagger in the reviewer's chair.

    python benchmarks/bootstrapping.py --originals 10 --workspace bench-workspace

Every picture of Paper Town has exactly known tags, so no opinion is involved: the reviewer accepts a
candidate exactly when the tagger sees every tag that its shot asked for, the accent, and none of the
eliminated ones. It goes through the queue in the queue's order, which learns from its verdicts as the app's does.
A workspace that is there already is gone on with: what was drawn is not drawn again.
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
from bootstrap.project import editing, projects
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, Workspace

RESULTS = Path(__file__).parent / "results" / "bootstrapping.md"
REVIEWER = "tagger"
RANKED_EVERY = 5  # verdicts
FIRST = 0.25  # the share of the queue that is looked at: are its picks more than their share?
# What makes somebody the same somebody in every picture.
SUBJECT = ("figure", "hat", "hair", "hair_color", "skin", "beard", "accent")
# What can be left out so that nothing else has to take its place.
LEAVABLE = ("prop", "wall_item", "desk_item", "eyewear", "beard", "eyes")
# Where something changes: weak and early, as the method has it, when the base model still obeys but the accent is not
# learnt yet; and strong and late, when the accent is there (docs/bench.md).
CHANGED = ("strength = 0.6\nsnapshot = [2, 3]", "strength = [0.9, 1.0]\nsnapshot = [5, 6]")
IDEAS = 10  # things to hold instead, and to add
RESAMPLINGS = 2000
TRIES = 1000 * len(ACCENTS)  # apart, so that an original's accent stays the same


@dataclass(frozen=True)
class Judged:
    """A candidate and what the tagger sees in it."""

    original: int
    candidate: Candidate
    seen: frozenset[str]  # tags
    attributes: dict[str, str]

    @property
    def recipe(self) -> str:
        """The recipe's name; `vary` at full strength is meant to replicate."""
        shot = self.candidate.shot
        return "replicate" if shot.recipe == "vary" and shot.strength == 1.0 else shot.recipe


def main() -> None:
    """Run the bench and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--originals", type=int, default=10, help="how many projects")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--generations", type=int, default=3)
    parser.add_argument("--count", type=int, default=12, help="candidates of each recipe in a generation")
    parser.add_argument("--base", default="papertown", help="base model")
    parser.add_argument(
        "--tagger", type=Path, help="another file of Paper Town's tagger than the bundled one"
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
    """The scene that project `number` starts from: held out, with an accent and enough to leave out.

    And one that the reviewer reads rightly: who takes the original's blazer for a hoodie would accept nothing.
    """
    tries = (data.scene("bench accents", number + TRIES * attempt) for attempt in itertools.count())
    return next(scene for scene in tries if scene.prop and scene.wall and _is_read_rightly(scene))


def _is_read_rightly(scene: world.Scene) -> bool:
    [reading] = PapertownTagger.bundled().attributes(as_tensor([world.render(scene, data.SIZE)]))
    return {*world.tags(scene), scene.accent} <= {tag for tag, _ in reading.tags()}


def open_project(workspace: Workspace, number: int, base: str, count: int, adaptive: bool) -> Project:
    """The project of an original, made when it is not there yet."""
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
    """The recipes of a project, as TOML: all kinds, those with a choice of strengths at several."""
    rng = random.Random(repr(scene))
    shown = world.attributes(scene)
    leavable = [tag for name, tag in tags_by_attribute(scene).items() if name in LEAVABLE]
    held = f"holding {scene.prop.color} {scene.prop.kind}"
    # Many ideas of each kind: with a few, all that could be accepted is a look-alike of earlier picks after a
    # generation or two.
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
    """Run the project's generations up to `last`, and return all that was drawn, judged; duplicates too.

    A generation of which nothing is accepted is the project's last.
    """
    judged = []
    for wanted in range(1, last + 1):
        states = [status.state for status in generations.statuses(catalog, made.name)]
        if len(states) < wanted or states[wanted - 1] not in ("published", "grown"):
            _one_generation(made, catalog, wanted)
        found = candidates.candidates(catalog, made.name, generation=wanted)
        new = judge(made, number, found, tagger)
        review(made, catalog, wanted, new)
        judged += in_order_of_review(made, catalog, wanted, new)
        drawn = candidates.candidates(catalog, made.name, generation=wanted, state=None)
        judged += judge(made, number, [one for one in drawn if one.state != "published"], tagger)
        if not any(map(acceptable, new)):
            break
        if wanted < last and states[wanted - 1 : wanted] != ["grown"]:
            growth.grow(made, catalog)
    return judged


def _one_generation(made: Project, catalog: Catalog, wanted: int) -> None:
    with generation.exclusively(made):
        begun = generation.prepare(made, catalog)
        if begun.number != wanted:
            raise RuntimeError(
                f"{made.name}: generation {wanted} is next for the bench, {begun.number} for the catalog"
            )
        generation.train(begun)
        generation.draw(begun)
        generation.curate(begun)
        generation.publish(begun)


def judge(made: Project, number: int, found: list[Candidate], tagger: PapertownTagger) -> list[Judged]:
    """What the tagger sees in each candidate."""
    if not found:
        return []
    pictures = as_tensor([Image.open(made.folder / one.path) for one in found])
    return [
        Judged(number, one, frozenset(tag for tag, _ in reading.tags()), reading.attributes)
        for one, reading in zip(found, tagger.attributes(pictures), strict=True)
    ]


def acceptable(judged: Judged) -> bool:
    """Whether every tag that was asked for is seen, the accent too, and nothing that was eliminated."""
    shot = judged.candidate.shot
    wanted = {*shot.tags, original(judged.original).accent}
    return wanted <= judged.seen and not judged.seen & set(shot.eliminated)


def review(made: Project, catalog: Catalog, wanted: int, judged: list[Judged]) -> None:
    """Give the verdicts that are still missing, in the order of the queue, which is ranked anew as they come."""
    is_pick = {one.candidate.id: acceptable(one) for one in judged}
    while queue := candidates.candidates(
        catalog, made.name, generation=wanted, verdict="undecided", ranked=True
    ):
        for one in queue[:RANKED_EVERY]:
            verdict = Verdict.ACCEPT if is_pick[one.id] else Verdict.REJECT
            verdicts.decide(catalog, made.name, [one.id], verdict, REVIEWER)
        ranking.rank(Generation(made, catalog, wanted))


def in_order_of_review(made: Project, catalog: Catalog, wanted: int, judged: list[Judged]) -> list[Judged]:
    """The judged ones of a generation as the reviewer met them."""
    decided = {one.id: one.decided_at for one in candidates.candidates(catalog, made.name, generation=wanted)}
    return sorted(judged, key=lambda one: decided[one.candidate.id])


def achieved(judged: Judged) -> float:
    """How far a candidate shows what its recipe is for: 0 or 1, for `replicate` the share of tags seen."""
    shot = judged.candidate.shot
    if judged.recipe == "replicate":
        return sum(tag in judged.seen for tag in shot.tags) / len(shot.tags)
    if judged.recipe == "vary":
        return float(original(judged.original).accent in judged.seen)
    gone = not judged.seen & set(shot.eliminated)
    there = set(itertools.chain(*map(captions.parse, shot.added))) <= judged.seen
    return float(gone and there)


def tables(judged: list[Judged]) -> str:
    """The bench's tables, as Markdown. Intervals are of 95 %, from drawing the originals anew.

    Effects are counted over all that was drawn: dropping duplicates drops those most that come out as they should.
    All else is counted over what was put up for review.
    """
    lines = [
        "| recipe | strength | drawn | effect achieved | drawn in generation 1 | effect |",
        "|---" * 6 + "|",
    ]
    for (recipe, strength), group in _grouped(judged, lambda j: (j.recipe, j.candidate.shot.strength)):
        first = [one for one in group if one.candidate.generation == 1]
        early = _interval(first, achieved) if first else ""
        lines.append(
            f"| {recipe} | {strength} | {len(group)} | {_interval(group, achieved)} | {len(first)} | {early} |"
        )
    drawn_in = dict(_grouped(judged, lambda j: j.candidate.generation))
    judged = [one for one in judged if one.candidate.state == "published"]
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
        picks, early, chance = queue_of(group)
        times = f"{early / chance:.2f}" if chance else "no picks"
        lines.append(f"| {number} | {picks} | {early} | {times} |")
    return "\n".join(lines) + "\n"


def queue_of(group: Sequence[Judged]) -> tuple[int, int, float]:
    """How many picks a generation has, over all originals, how many of them came in the first quarter of each queue,
    and how many would by chance. Candidates come in the order of review."""
    picks, early, chance = 0, 0, 0.0
    for _, own in _grouped(group, lambda one: one.original):
        first = round(FIRST * len(own))
        mine = [acceptable(one) for one in own]
        picks, early, chance = (
            picks + sum(mine),
            early + sum(mine[:first]),
            chance + first / len(own) * sum(mine),
        )
    return picks, early, chance


def subject_kept(judged: Judged) -> float:
    """The share of the original's subject attributes that the candidate has, of those not to be changed."""
    scene = original(judged.original)
    changed = set(judged.candidate.shot.eliminated)
    own = {
        name: value
        for name, value in world.attributes(scene).items()
        if name in SUBJECT and value not in changed
    }
    return sum(judged.attributes.get(name) == value for name, value in own.items()) / len(own)


def diversity(group: Sequence[Judged]) -> float:
    """How many attributes two picks of one project differ in, on average."""
    differences = []
    for _, own in _grouped([j for j in group if acceptable(j)], lambda j: j.original):
        for one, other in itertools.combinations(own, 2):
            names = one.attributes.keys() | other.attributes.keys()
            differences.append(sum(one.attributes.get(n) != other.attributes.get(n) for n in names))
    return sum(differences) / len(differences) if differences else float("nan")


def _interval(group: Sequence[Judged], measure: Callable[[Judged], float]) -> str:
    """Mean and 95 % interval, in percent. Candidates of one original are alike, so originals are resampled."""
    sums, counts = defaultdict(float), defaultdict(int)
    for one in group:
        sums[one.original] += measure(one)
        counts[one.original] += 1
    values, weights = np.array(list(sums.values())), np.array(list(counts.values()))
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLINGS, len(values)))
    means = 100 * values[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return f"{100 * values.sum() / weights.sum():.1f} % ({low:.1f} to {high:.1f})"


def _grouped(judged: Iterable[Judged], key: Callable[[Judged], Any]) -> list[tuple[Any, list[Judged]]]:
    return [(value, list(group)) for value, group in itertools.groupby(sorted(judged, key=key), key=key)]


def tags_by_attribute(scene: world.Scene) -> dict[str, str]:
    return {parts[0]: tag for tag, parts in parts_of_tags(world.attributes(scene))}


def _toml(words: list[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


if __name__ == "__main__":
    main()
