"""How light are the commands and pages that need no model? This checkout against another one, alternately.

    git worktree add /tmp/before a76663c
    python benchmarks/starting.py --against /tmp/before

It measures three things `--rounds` times on a workspace with the demo project, each time in a new process: the wall
time of `sid plan demo`, that of `sid --help`, and the resident memory of the review app's server after a browser has
opened the Recipes page. Ratios are computed within a round: this checkout over the other. Prints a table and writes it
to benchmarks/results/starting.md and starting.json. Needs Chromium and Playwright, and Linux for the memory.
"""

from __future__ import annotations

import argparse
import json
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
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
SID = "from bootstrap.cli.main import main; main()"
OLD_SID = "from bootstrap.cli import main; main()"  # before bootstrap/cli was a folder
DEMO = """
import sys
from flows import demo
from bootstrap.catalog import Catalog
try:
    from bootstrap.project.projects import Workspace
except ModuleNotFoundError:
    from bootstrap.project import Workspace
workspace = Workspace.locate(sys.argv[1])
demo.project(workspace)
Catalog(workspace.catalog_url)
"""
UNITS = {"sid plan demo": "s", "sid --help": "s", "server after the Recipes page": "MiB"}
GOALS = {"sid plan demo": 0.4, "sid --help": 0.7, "server after the Recipes page": 0.6}


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--against", type=Path, required=True, help="the other checkout's folder")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    other = arguments.against.resolve()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    values: dict[str, dict[str, list[float]]] = {metric: {"here": [], "there": []} for metric in UNITS}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        sides = {"here": HERE, "there": other}
        for name, checkout in sides.items():
            _python(checkout, "-c", DEMO, str(Path(folder) / name))
            _measured(checkout, Path(folder) / name, browser)  # a warm-up, so that all files are cached
        for number in range(arguments.rounds):
            for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
                measured = _measured(sides[name], Path(folder) / name, browser)
                for metric, value in measured.items():
                    values[metric][name].append(value)
                print(name, {metric: round(value, 3) for metric, value in measured.items()}, flush=True)
        browser.close()
    ratios = {
        metric: [here / there for here, there in zip(both["here"], both["there"], strict=True)]
        for metric, both in values.items()
    }
    text = _table(other, values, ratios)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "starting.md").write_text(text)
    medians = {metric: statistics.median(by_round) for metric, by_round in ratios.items()}
    results = {"values": values, "ratios": ratios, "medians": medians, "goals": GOALS}
    (RESULTS / "starting.json").write_text(json.dumps(results, indent=1) + "\n")


def _environment(checkout: Path) -> dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "SID_REVIEWER": "benchmark"}
    environment.pop("PREFECT_API_URL", None)
    return environment


def _python(checkout: Path, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, *arguments],
        check=True, cwd=checkout, env=_environment(checkout), stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _sid(checkout: Path) -> str:
    return SID if (checkout / "bootstrap" / "cli").is_dir() else OLD_SID


def _measured(checkout: Path, workspace: Path, browser: Browser) -> dict[str, float]:
    return {
        "sid plan demo": _seconds(checkout, "--workspace", str(workspace), "plan", "demo"),
        "sid --help": _seconds(checkout, "--help"),
        "server after the Recipes page": _memory(checkout, workspace, browser),
    }


def _seconds(checkout: Path, *arguments: str) -> float:
    began = time.perf_counter()
    _python(checkout, "-c", _sid(checkout), *arguments)
    return time.perf_counter() - began


def _memory(checkout: Path, workspace: Path, browser: Browser) -> float:
    """Return the server's resident memory in MiB after the Recipes page, its first page, has loaded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-c", _sid(checkout), "--workspace", str(workspace), "review"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--no-browser"],
        cwd=checkout, env=_environment(checkout), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://localhost:{port}"
        _wait_for(url, server)
        page = browser.new_page()
        page.goto(f"{url}/recipes?project=demo")
        page.get_by_text("to draw").first.wait_for(timeout=120_000)
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        memory = _resident(server.pid)
        page.close()
        return memory
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError(f"the server at {url} ended with {server.returncode}")
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the server at {url} does not answer")


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} reports no memory")


def _table(other: Path, values: dict[str, dict[str, list[float]]], ratios: dict[str, list[float]]) -> str:
    commit = subprocess.run(
        ["git", "-C", str(other), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    lines = [
        f"# Starting without a model: this checkout against {commit}",
        "",
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "",
        f"| | here, median | {commit}, median | here / {commit}, round by round | goal |",
        "|---|---|---|---|---|",
    ]
    for metric, unit in UNITS.items():
        here, there = (statistics.median(values[metric][name]) for name in ("here", "there"))
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios[metric])
        lines.append(
            f"| {metric} | {here:.3g} {unit} | {there:.3g} {unit} | **{statistics.median(ratios[metric]):.2f}** "
            f"({listed}) | {GOALS[metric]:g} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
