"""Curation: near pairs, duplicates and the queue, against imagehash, FAISS and imagededup in one run.

    python benchmarks/curation.py [--peers FOLDER] [--part labelled review papertown pairs whole]

Prints a table for each part and writes them to benchmarks/results/curation.md. FOLDER holds the peers' packages
(`pip install --target FOLDER --no-deps faiss-cpu imagededup tqdm`); without it their rows are missing. Times are CPU
seconds of this process, on one thread, so that other load on the machine does not matter; memory is the process's peak.
"""

import argparse
import contextlib
import io
import itertools
import random
import resource
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from queueing import go_through

from bootstrap.catalog.states import Verdict

sys.path.insert(0, str(Path(__file__).parent.parent))

from bootstrap.curation.duplicates import Limits, Prints, look_alikes
from bootstrap.curation.near import near
from bootstrap.curation.ranking import RankedCandidate
from bootstrap.files import write_text
from bootstrap.papertown import world
from bootstrap.pictures import hashing
from bootstrap.project.settings import DedupeSection

RESULTS = Path(__file__).parent / "results" / "curation.md"
LIMITS = Limits(DedupeSection().distance, DedupeSection().pixel_difference)

FEW_QUERIES = 2_000  # queries to imagededup when all of them would take too long


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds that `work` takes in this process, and its result."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def peak_gib() -> float:
    """Return the peak memory of this process, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


# --- near pairs ---------------------------------------------------------------------------------------


def random_hashes(count: int) -> NDArray[np.uint64]:
    """Return random hashes; a tenth of them are copies of an earlier one with up to 8 bits flipped."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    copies = rng.choice(np.arange(1, count), count // 10, replace=False)
    sources = (rng.random(len(copies)) * copies).astype(int)
    hashes[copies] = hashes[sources]
    for _ in range(8):
        flipped = np.uint64(1) << rng.integers(0, 64, len(copies)).astype(np.uint64)
        hashes[copies] ^= np.where(rng.random(len(copies)) < 0.5, flipped, np.uint64(0))
    return hashes


def pairs_part(arguments: argparse.Namespace) -> Iterator[str]:
    """All near pairs of n hashes (radius 8), and of a batch of 64, as curation takes them, against n.

    imagededup looks hashes up one by one: of 100,000 only 2,000 are, and the time is extrapolated.
    """
    yield "| hashes | what | ours | FAISS flat | FAISS multi-hash | imagededup |"
    yield "|---|---|---|---|---|---|"
    for count in [size for size in (10_000, 100_000, 1_000_000) if size <= arguments.size]:
        hashes = random_hashes(count)
        if count <= arguments.peers_size:
            ours, pairs = spent(lambda hashes=hashes: _earlier_pairs(hashes))
            flat = multi = dedup = None
            if arguments.peers:
                flat, _ = spent(lambda hashes=hashes: _faiss_flat(hashes, hashes))
                multi, _ = spent(lambda hashes=hashes: _faiss_multi(hashes, hashes))
                queries = count if count <= 10_000 else FEW_QUERIES
                seconds, _ = spent(lambda hashes=hashes, queries=queries: _imagededup(hashes, queries))
                dedup = seconds * count / queries
            yield _line(f"{count:,}", f"all pairs ({pairs:,} found)", ours, flat, multi, dedup)
        batch, _ = spent(lambda hashes=hashes: near(hashes[:64], hashes, 8))
        flat = spent(lambda hashes=hashes: _faiss_flat(hashes, hashes[:64]))[0] if arguments.peers else None
        yield _line(f"{count:,}", "a batch of 64", batch, flat, None, None)


def _earlier_pairs(hashes: NDArray[np.uint64]) -> int:
    """Find all pairs, the later one first, as near_pairs does; return their number."""
    count = 0
    for start in range(0, len(hashes), 1 << 12):
        end = min(start + (1 << 12), len(hashes))
        rows, columns = near(hashes[start:end], hashes[:end], 8)
        count += int((columns < rows + start).sum())
    return count


def _line(*cells: str | float | None) -> str:
    texts = [cell if isinstance(cell, str) else "" if cell is None else f"{cell:.2f} s" for cell in cells]
    return f"| {' | '.join(texts)} |"


def _faiss_flat(hashes: NDArray[np.uint64], queries: NDArray[np.uint64]) -> Any:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(64)
    index.add(hashes.view(np.uint8).reshape(-1, 8))
    return index.range_search(queries.view(np.uint8).reshape(-1, 8), 9)  # the radius is exclusive


def _faiss_multi(hashes: NDArray[np.uint64], queries: NDArray[np.uint64]) -> Any:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryMultiHash(64, 3, 21)
    index.nflip = 2
    index.add(hashes.view(np.uint8).reshape(-1, 8))
    return index.range_search(queries.view(np.uint8).reshape(-1, 8), 9)


def _imagededup(hashes: NDArray[np.uint64], queries: int) -> Any:
    """Look up the first `queries` hashes with imagededup's fastest method, in one process."""
    from imagededup.handlers.search.brute_force_cython import BruteForceCython

    by_name = {str(index): f"{value:016x}" for index, value in enumerate(hashes.tolist())}
    search = BruteForceCython(by_name, None)  # None: the search computes the Hamming distance itself
    return [search.search(query, tol=8) for query in itertools.islice(by_name.values(), queries)]


# --- the whole set, with pixels -----------------------------------------------------------------------


def whole_part(arguments: argparse.Namespace) -> Iterator[str]:
    """look_alikes over n prints, a tenth of them duplicates: hashes straight and mirrored, cells, pixels."""
    yield "| pictures | duplicates found | CPU | process's peak memory |"
    yield "|---|---|---|---|"
    small = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for count in [size for size in (10_000, 100_000, 1_000_000) if size <= arguments.size]:
        hashes = random_hashes(count)
        # Pictures with near hashes have the same pixels: the worst case, every pair is compared pixel by pixel.
        mirrored = np.random.default_rng(2).integers(0, 2**64, count, dtype=np.uint64)
        prints = Prints(hashes, mirrored, np.ones(count), np.tile(hashing.coarse_copy(small), (count, 1)))
        seconds, duplicates = spent(lambda prints=prints: look_alikes(prints, 0, lambda index: small, LIMITS))
        yield f"| {count:,} | {len(duplicates):,} | {seconds:.1f} s | {peak_gib():.2f} GiB |"


# --- a labelled set -----------------------------------------------------------------------------------


def copies(picture: Image.Image, rng: random.Random) -> dict[str, Image.Image]:
    """Return near-duplicates of a picture, keyed by what was done to it."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=rng.randint(55, 85))
    width, height = picture.size
    cut = max(1, round(0.01 * width))
    return {
        "resized": picture.resize((width * 3 // 4, height * 3 // 4), Image.Resampling.LANCZOS).resize(
            (width, height)
        ),
        "recompressed": Image.open(buffer).convert("RGB"),
        "mirrored": ImageOps.mirror(picture),
        "brighter or darker": ImageEnhance.Brightness(picture).enhance(rng.choice((0.95, 1.05))),
        "cropped by 1 %": picture.crop((cut, cut, width - cut, height - cut)).resize((width, height)),
    }


def with_prop_changed(scene: world.Scene, rng: random.Random) -> world.Scene | None:
    """Return the scene with its prop removed or exchanged; None if it has no prop."""
    if scene.prop is None:
        return None
    return replace(scene, prop=rng.choice([None, world.sample(rng).prop]))


def labelled_part(arguments: argparse.Namespace) -> Iterator[str]:
    """Precision, recall and F1 over pairs of a scene and a copy of it, or of two pictures."""
    rng = random.Random(0)
    same: dict[str, list[tuple[Image.Image, Image.Image]]] = {}
    different: dict[str, list[tuple[Image.Image, Image.Image]]] = {}
    flats: list[Image.Image] = []
    for _ in range(arguments.scenes):
        scene = world.sample(rng)
        picture = world.render(scene)
        for kind, copy in copies(picture, rng).items():
            same.setdefault(kind, []).append((picture, copy))
        changed = with_prop_changed(scene, rng)
        if changed is not None and changed != scene:
            pair = (picture, world.render(changed))
            different.setdefault("prop gone or exchanged", []).append(pair)
            dark = tuple(Image.eval(image, lambda value: value // 10) for image in pair)
            different.setdefault("the same, dark", []).append((dark[0], dark[1]))
        flats.append(Image.new("RGB", picture.size, tuple(rng.randrange(256) for _ in range(3))))
    different["two flat ones"] = list(itertools.pairwise(flats))
    ways: dict[str, Callable[[Image.Image, Image.Image], bool]] = {
        "ours": _ours,
        "phash <= 10": lambda a, b: imagehash.phash(a) - imagehash.phash(b) <= 10,
        "phash <= 4": lambda a, b: imagehash.phash(a) - imagehash.phash(b) <= 4,
        "dhash <= 10": lambda a, b: imagehash.dhash(a) - imagehash.dhash(b) <= 10,
        "ahash <= 10": lambda a, b: imagehash.average_hash(a) - imagehash.average_hash(b) <= 10,
        "whash <= 10": lambda a, b: imagehash.whash(a) - imagehash.whash(b) <= 10,
    }
    if arguments.peers:
        ways |= _imagededup_hashes(arguments.peers)
    yield "| right in | " + " | ".join(ways) + " |"
    yield "|---|" + "---|" * len(ways)
    counts = {way: [0, 0, 0] for way in ways}  # true positives, false positives, false negatives
    for kind, pairs in [*same.items(), *different.items()]:
        cells = []
        for way, decide in ways.items():
            positives = sum(decide(*pair) for pair in pairs)
            right = positives if kind in same else len(pairs) - positives
            counts[way][0] += positives if kind in same else 0
            counts[way][1] += 0 if kind in same else positives
            counts[way][2] += len(pairs) - positives if kind in same else 0
            cells.append(f"{right}/{len(pairs)}")
        yield f"| {kind} | " + " | ".join(cells) + " |"
    for name, metric in (
        ("precision", lambda hit, wrong, missed: hit / max(1, hit + wrong)),
        ("recall", lambda hit, wrong, missed: hit / max(1, hit + missed)),
        ("F1", lambda hit, wrong, missed: 2 * hit / max(1, 2 * hit + wrong + missed)),
    ):
        yield f"| **{name}** | " + " | ".join(f"{metric(*counts[way]):.3f}" for way in ways) + " |"


def _imagededup_hashes(peers: Path) -> dict[str, Callable[[Image.Image, Image.Image], bool]]:
    """Return imagededup's hashes, each at its default distance.

    Its neural network would have to download weights, and its plots need further packages: both are bypassed.
    """
    for part in ("methods", "utils"):
        package = types.ModuleType(f"imagededup.{part}")
        package.__path__ = [str(peers / "imagededup" / part)]
        sys.modules[package.__name__] = package
    from imagededup.methods import hashing as methods

    def decides(method: Any) -> Callable[[Image.Image, Image.Image], bool]:
        def decide(a: Image.Image, b: Image.Image) -> bool:
            first, second = (
                int(method.encode_image(image_array=np.asarray(picture)), 16) for picture in (a, b)
            )
            return (first ^ second).bit_count() <= 10

        return decide

    kinds = ("PHash", "DHash", "AHash", "WHash")
    return {f"imagededup {kind}": decides(getattr(methods, kind)(verbose=False)) for kind in kinds}


def _ours(a: Image.Image, b: Image.Image) -> bool:
    prints = [hashing.fingerprint(a), hashing.fingerprint(b)]
    return bool(look_alikes(Prints.of(prints), 0, lambda index: prints[index].small, LIMITS))


# --- a simulated review -------------------------------------------------------------------------------


def review_part(_: argparse.Namespace) -> Iterator[str]:
    """A simulated reviewer judges 400 candidates, reranked after every 5 verdicts, by one direction of the features,
    the right strength and good quality; a tenth of the verdicts are chance. Simulated on vectors, not on drawn
    pictures.
    """
    yield "| seed | picks | in the first 25 %, ranked | in random order, on average | times |"
    yield "|---|---|---|---|---|"
    for seed in range(5):
        wanted, rows, vectors = _candidates(seed)
        order = go_through(rows, vectors, dict(enumerate(wanted.tolist())))
        first = len(order) // 4
        ranked, by_chance = wanted[order[:first]].sum(), wanted.mean() * first
        yield f"| {seed} | {wanted.sum()} | {ranked} | {by_chance:.1f} | {ranked / by_chance:.2f} |"


def _candidates(seed: int) -> tuple[NDArray[np.bool_], list[RankedCandidate], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    count, kinds = 400, 12
    centers = rng.standard_normal((kinds, 64))
    vectors = centers[rng.integers(0, kinds, count)] + 0.7 * rng.standard_normal((count, 64))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    strength = rng.choice([0.5, 0.6, 0.7, 0.8], count)
    scores = rng.random((count, 3))
    taste = rng.standard_normal(64)
    liking = 5 * vectors @ (taste / np.linalg.norm(taste)) - 6 * np.abs(strength - 0.6) + scores[:, 0]
    wanted = liking > np.quantile(liking, 0.75)
    chance = rng.random(count) < 0.1
    wanted = np.where(chance, rng.random(count) < 0.25, wanted)
    rows = [
        RankedCandidate(
            index,
            1,
            Verdict.UNDECIDED,
            index,
            "vary",
            float(strength[index]),
            2,
            (*scores[index].tolist(), None),
        )
        for index in range(count)
    ]  # fmt: skip
    return wanted, rows, vectors


def papertown_part(arguments: argparse.Namespace) -> Iterator[str]:
    """The same with candidates of Paper Town, two generations of each seed's project, and the adaptive plan against
    none.
    """
    import papertown_review  # imports torch: the other parts' memory is measured

    with contextlib.ExitStack() as stack:
        folder = arguments.workspaces or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield from papertown_review.review_tables(folder, arguments.seeds, arguments.count)


PARTS = {
    "labelled": labelled_part,
    "review": review_part,
    "papertown": papertown_part,
    "pairs": pairs_part,
    "whole": whole_part,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, help="folder with faiss and imagededup")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--size", type=int, default=1_000_000, help="largest number of hashes")
    parser.add_argument(
        "--peers-size", type=int, default=100_000, help="largest number of hashes for the peers"
    )
    parser.add_argument("--scenes", type=int, default=60, help="scenes in the labelled set")
    parser.add_argument("--seeds", type=int, default=5, help="projects of the Paper Town review")
    parser.add_argument("--count", type=int, default=20, help="candidates of each of its recipes")
    parser.add_argument(
        "--workspaces",
        type=Path,
        help="where to keep the workspaces for the next run",
    )
    arguments = parser.parse_args()
    if arguments.peers:
        sys.path.append(str(arguments.peers))
    lines = []
    for part in arguments.part:
        lines += [f"## {part}", "", " ".join((PARTS[part].__doc__ or "").split()), ""]
        print("\n".join(lines[-4:]), flush=True)
        for line in PARTS[part](arguments):
            lines.append(line)
            print(line, flush=True)
        lines.append("")
        print(flush=True)
        write_text(RESULTS, "\n".join(["# Curation", "", f"`python {' '.join(sys.argv)}`", "", *lines]))


if __name__ == "__main__":
    main()
