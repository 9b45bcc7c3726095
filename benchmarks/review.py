"""How fast is the review app? A real Chromium, a real `sid review`, a workspace of 10,000 candidates.

    python benchmarks/review.py

Measures, in this order: the time from the start of the navigation until the first page is usable, in fresh browser
profiles; the time from a key press to the next picture on the screen, over 500 verdicts; whether all of these verdicts
are in the catalog, in the order of the key presses; and the server's memory over 5,000 verdicts. The 500 key presses
come eight times a second, like those of a quick person, the 5,000 without any pause. The candidates are small PNGs
(128 x 128), each with a thumbnail, scores and a vector, so that the queue is reranked while the verdicts arrive.
Prints a table and writes it to benchmarks/results/review.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import bootstrap
from bootstrap.catalog import Catalog, candidate_states, candidates, generations, measurements, verdicts
from bootstrap.catalog.candidate_states import NewCandidate
from bootstrap.catalog.measurements import ModelScores
from bootstrap.catalog.states import CandidateState, GenerationState
from bootstrap.curation import ranking
from bootstrap.files import write_text
from bootstrap.project import projects
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, Workspace
from bootstrap.shots import LoraUse, Shot

RESULTS = Path(__file__).parent / "results" / "review.md"
ORIGINAL = Path(bootstrap.__file__).parent / "papertown" / "originals" / "badge.png"
CAPTION = "woman, bob cut blonde hair, blue blazer, smile, holding red apple, teal wall, window"
SIDE = 128
VECTOR = 256
PAUSE = 0.125  # seconds between two verdicts of a quick person
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

# Measures from the key event's time stamp until the frame that shows the next picture, decoded, has been painted.
STOPWATCH = """
window.taken = [];
window.judged = [];
const findDeck = () => {
  for (const element of document.querySelectorAll("*")) {
    const deck = element.shadowRoot?.querySelector(".deck");
    if (deck) return deck;
  }
};
window.addEventListener("keydown", (event) => {
  const root = window.theDeck ?? (window.theDeck = findDeck());
  if (!root || !root.dataset.candidate) return;
  const before = root.dataset.candidate;
  window.judged.push(before);
  const checkFrame = () => {
    const picture = root.querySelector(".slot img");
    const isNext = root.dataset.candidate !== before && picture?.complete && picture.naturalWidth;
    if (!isNext) return requestAnimationFrame(checkFrame);
    const channel = new MessageChannel(); // its message arrives after the frame has been painted
    channel.port1.onmessage = () => window.taken.push(performance.now() - event.timeStamp);
    channel.port2.postMessage(0);
  };
  requestAnimationFrame(checkFrame);
}, { capture: true });
"""

# Milliseconds from the start of the navigation until a frame shows the first candidate, loaded.
FIRST_CANDIDATE = """() => new Promise((done) => {
  const checkFrame = () => {
    for (const element of document.querySelectorAll("*")) {
      const picture = element.shadowRoot?.querySelector(".deck .slot img");
      if (picture?.complete && picture.naturalWidth) return requestAnimationFrame(() => done(performance.now()));
    }
    requestAnimationFrame(checkFrame);
  };
  checkFrame();
})"""


@dataclass(frozen=True)
class Load:
    """The first page load in a fresh browser profile."""

    seconds: float  # from the start of the navigation until a verdict on the first candidate is possible
    server_ms: int  # the server's CPU time, in milliseconds, until two seconds after that
    requests: int
    megabytes: float  # received over the network


@dataclass(frozen=True)
class Review:
    """A series of verdicts."""

    milliseconds: list[float]  # from each key press to the next picture
    judged: list[str]  # candidate ids, in the order of the key presses


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--verdicts", type=int, default=500)
    parser.add_argument("--long", type=int, default=5_000, help="verdicts while memory is watched")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sid-review-"))
    try:
        began = time.perf_counter()
        made = populate(folder, arguments.candidates)
        print(f"{arguments.candidates} candidates made in {time.perf_counter() - began:.0f} s", flush=True)
        lines = list(measure(made, arguments))
    finally:
        shutil.rmtree(folder)
    text = "\n".join(lines) + "\n"
    print(text)
    write_text(RESULTS, text)


def measure(made: Project, arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the table."""
    load_before = os.getloadavg()[0]
    with server(made.workspace) as (url, process), sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        first = [load_first_page(browser, f"{url}/?project={made.name}", process.pid) for _ in range(6)]
        listed = ", ".join(f"{page_load.seconds:.2f} s, {page_load.server_ms} ms" for page_load in first)
        print("loads:", listed, flush=True)
        page = open_review_page(browser, f"{url}/?project={made.name}")
        short = press_keys(page, arguments.verdicts, PAUSE)
        wait_until_sent(page)
        lost, disorder = compare(made, short.judged)
        print(f"p50 {quantile(short.milliseconds, 0.5):.1f} ms", flush=True)
        memory = [resident(process.pid)]
        judged, done, began = list(short.judged), 0, time.perf_counter()
        while done < arguments.long:
            more = press_keys(page, min(500, arguments.long - done), 0.0)
            judged += more.judged
            done += len(more.judged)
            memory.append(resident(process.pid))
            print(f"{done} verdicts: {memory[-1]:.0f} MiB", flush=True)
        long_seconds = time.perf_counter() - began
        wait_until_sent(page)
        long_lost, long_disorder = compare(made, judged)
        browser.close()
    warm = first[1:]
    seconds = [page_load.seconds for page_load in warm]
    yield "# Reviewing 10,000 candidates" if arguments.candidates == 10_000 else "# Reviewing"
    yield ""
    yield (
        f"`python {' '.join(sys.argv)}`: {arguments.candidates} candidates of {SIDE}x{SIDE} pixels; "
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load "
        f"{load_before:.1f} before, {os.getloadavg()[0]:.1f} after"
    )
    yield ""
    yield "| | measured | wanted |"
    yield "|---|---|---|"
    yield (
        f"| first page usable, fresh profile, s | median {statistics.median(seconds):.2f}, "
        f"worst of {len(seconds)} {max(seconds):.2f}; the server's very first {first[0].seconds:.2f} | 2 |"
    )
    yield (
        "| the server's CPU time for it, ms | "
        f"median {statistics.median(page_load.server_ms for page_load in warm):.0f}, "
        f"the very first {first[0].server_ms} |  |"
    )
    yield f"| requests, MB for it | {first[-1].requests}, {first[-1].megabytes:.1f} |  |"
    for name, share, wanted in (("p50", 0.5, 50), ("p95", 0.95, 100), ("worst", 1.0, "")):
        value = quantile(short.milliseconds, share)
        yield f"| key to next picture, {name} of {len(short.milliseconds)}, ms | {value:.1f} | {wanted} |"
    yield f"| of {len(short.judged)} verdicts not in the catalog | {lost} | 0 |"
    yield f"| in another order than given | {disorder} | 0 |"
    yield f"| of {len(judged)} verdicts not in the catalog, in another order | {long_lost}, {long_disorder} | 0, 0 |"
    yield (
        f"| server's memory, MiB, every 500 of {arguments.long} verdicts "
        f"({arguments.long / long_seconds:.0f} a second) | {', '.join(f'{mib:.0f}' for mib in memory)} | stable |"
    )


def load_first_page(browser: Browser, url: str, server_pid: int) -> Load:
    """Load the first page in a fresh browser profile and measure it."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    sizes: list[float] = []
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    before = cpu_ms(server_pid)
    page.goto(url, wait_until="commit")
    seconds = float(page.evaluate(FIRST_CANDIDATE)) / 1000
    page.wait_for_timeout(2000)
    taken = cpu_ms(server_pid) - before
    context.close()
    return Load(seconds, taken, len(sizes), sum(sizes) / 1e6)


def cpu_ms(pid: int) -> int:
    """Return the user and system CPU time that a process has used so far, in milliseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) // os.sysconf("SC_CLK_TCK")


def open_review_page(browser: Browser, url: str) -> Page:
    """Open the review page with the stopwatch installed."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(STOPWATCH)
    page.goto(url)
    page.wait_for_selector('.deck[data-candidate]:not([data-candidate=""])')
    page.wait_for_timeout(1500)
    return page


def press_keys(page: Page, count: int, pause: float) -> Review:
    """Give `count` verdicts by key: two rejects, then an accept, and so on.

    With a pause (in seconds), each key is pressed after the next picture is on the screen; without one, keys are
    pressed as fast as possible, up to 12 at once.
    """
    page.evaluate("window.taken = []; window.judged = []")
    judged = 0
    while judged < count:
        for _ in range(1 if pause else min(12, count - judged)):
            page.keyboard.press("a" if judged % 3 == 2 else "r")
            judged += 1
        page.wait_for_function("() => window.taken.length === window.judged.length", polling=5)
        judged = int(
            page.evaluate("window.judged.length")
        )  # a key press while no candidate was shown did nothing
        if pause:
            page.wait_for_timeout(1000 * pause)
    return Review(page.evaluate("window.taken"), page.evaluate("window.judged"))


def wait_until_sent(page: Page) -> None:
    """Wait until the server has confirmed all verdicts."""
    page.wait_for_function(
        "() => Object.keys(localStorage).every((key) => !key.startsWith('sid/unsent/'))", timeout=60_000
    )


def compare(made: Project, judged: list[str]) -> tuple[int, int]:
    """Return how many of the verdicts the catalog lacks, and how many are at another position in its order."""
    catalog = Catalog(made.workspace.catalog_url)
    saved = [verdict.candidate_id for verdict in verdicts.history(catalog, made.name)]
    catalog.close()
    saved_ids = set(saved)
    missing = sum(candidate_id not in saved_ids for candidate_id in judged)
    misplaced = sum(expected != actual for expected, actual in zip(judged, saved, strict=False))
    return missing, misplaced


def quantile(values: list[float], share: float) -> float:
    """Return the smallest value that at least this share of all values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def resident(pid: int) -> float:
    """Return a process's memory in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} reports no resident memory")


@contextmanager
def server(workspace: Workspace) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `sid review`; yield its address and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        sys.executable, "-c", "from bootstrap.cli.main import main; main()", "--workspace", str(workspace.folder),
        "review", "--port", str(port), "--no-browser",
    ]  # fmt: skip
    environment = {**os.environ, "SID_REVIEWER": "benchmark"}
    environment.pop("PREFECT_API_URL", None)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    try:
        url = f"http://localhost:{port}"
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        yield url, process
    finally:
        process.terminate()
        process.wait(timeout=30)


def populate(folder: Path, count: int) -> Project:
    """Make a workspace with one generation of `count` candidates, published and ranked."""
    made: Any = projects.create(Workspace(folder), "badge", ORIGINAL, CAPTION)
    catalog = Catalog(made.workspace.catalog_url)
    number = generations.begin(catalog, made.name)
    home = made.generation_folder(number)
    (home / "candidates").mkdir(parents=True)
    (home / "thumbnails").mkdir()
    rng = np.random.default_rng(0)
    with Image.open(made.original) as opened_original:
        original = np.asarray(opened_original.convert("RGB").resize((SIDE, SIDE)), np.float32)
    for first in range(0, count, 500):
        new = []
        for index in range(first, min(count, first + 500)):
            shot = shot_of(made, number, index)
            tint = rng.uniform(0.4, 1.4, (1, 1, 3))
            noise = rng.normal(0, 2, (SIDE // 8, SIDE // 8, 3)).repeat(8, 0).repeat(8, 1)
            picture = Image.fromarray(np.clip(original * tint + noise, 0, 255).astype(np.uint8))
            path = home / "candidates" / f"{shot.id}.png"
            picture.save(path, compress_level=1)
            picture.save(home / "thumbnails" / f"{shot.id}.webp", method=0)
            new.append(NewCandidate(shot.id, shot, path.relative_to(made.folder), index))
        candidate_states.add_drawn(catalog, made.name, number, new)
    scores = {}
    for file in measurements.drawn_files(catalog, made.name, number):
        vector = rng.standard_normal(VECTOR)
        vector = (vector / np.linalg.norm(vector)).astype(np.float16)
        scores[file.row] = ModelScores(
            {name: rng.random() for name in ("closeness", "novelty", "agreement")},
            "benchmark",
            vector.tobytes(),
        )
    measurements.set_scores(catalog, scores)
    drawn = candidates.candidates(catalog, made.name, state=CandidateState.DRAWN)
    candidate_states.put_up(catalog, made.name, [candidate.id for candidate in drawn])
    generation = Generation(made, catalog, number)
    for state in (
        GenerationState.TRAINING, GenerationState.DRAWING, GenerationState.CURATING, GenerationState.PUBLISHED,
    ):  # fmt: skip
        generation.set_state(state)
    ranking.rank(generation)
    catalog.close()
    return made


def shot_of(made: Project, number: int, index: int) -> Shot:
    """Return the index-th shot."""
    tags = CAPTION.split(", ")
    left_out = (tags[1 + index % (len(tags) - 1)],) if index % 2 else ()
    return Shot(
        prompt=", ".join(tag for tag in tags if tag not in left_out), negative_prompt="", seed=index, steps=25,
        sampler="DPM++ 2M", schedule="Karras", cfg_scale=5.0, width=SIDE, height=SIDE, base_model="papertown",
        base_model_hash="0" * 64,
        loras=(LoraUse(f"badge-{number:02d}", "t" * 64, 2 + index % 3, (0.6, 0.7, 0.8)[index % 3]),),
        recipe="eliminate" if left_out else "vary", eliminated=left_out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
