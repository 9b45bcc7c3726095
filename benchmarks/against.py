"""Is this checkout slower than another one? Train and draw with both, alternately, each time in a new process.

    git worktree add /tmp/before a76663c
    python benchmarks/against.py /tmp/before --pairs 5

The training is the one that benchmarks/training.py calls "ours"; the drawing is the 64 shots of benchmarks/drawing.py.
Each checkout runs its own copy of these two scripts. Ratios are computed pair by pair: time of this checkout over time
of the other. Prints a table and writes it to benchmarks/results/against.md and against.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
DRAWING = """
import json, sys, time, shutil
from pathlib import Path
import drawing
folder = Path(sys.argv[1])
base, shots, loras = drawing._prepared(folder)
seconds = []
for _ in range(int(sys.argv[2])):
    out = folder / "out"
    out.mkdir()
    began = time.perf_counter()
    drawing._ours(base, shots, loras, out)
    seconds.append(time.perf_counter() - began)
    assert len(list(out.glob("*.png"))) == len(shots)
    shutil.rmtree(out)
(folder / "seconds.json").write_text(json.dumps(seconds))
"""


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("other", type=Path, help="the other checkout's folder")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="how often each process draws the 64 shots")
    arguments = parser.parse_args()
    checkouts = {"here": HERE, "there": arguments.other.resolve()}
    ratios: dict[str, list[float]] = {}
    seconds: dict[str, dict[str, list[float]]] = {}
    for number in range(arguments.pairs):
        pair = {}
        for name in list(checkouts)[:: 1 if number % 2 == 0 else -1]:
            pair[name] = {
                **_training_seconds(checkouts[name]),
                **_drawing_seconds(checkouts[name], arguments.rounds),
            }
            print(name, {metric: round(value, 3) for metric, value in pair[name].items()}, flush=True)
        for metric in pair["here"]:
            ratios.setdefault(metric, []).append(pair["here"][metric] / pair["there"][metric])
            for name, measured in pair.items():
                seconds.setdefault(metric, {}).setdefault(name, []).append(measured[metric])
    text = _table(arguments.other, ratios, seconds)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "against.md").write_text(text)
    medians = {metric: statistics.median(values) for metric, values in ratios.items()}
    (RESULTS / "against.json").write_text(json.dumps({"ratios": ratios, "medians": medians}, indent=1) + "\n")


def _environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), str(checkout / "benchmarks")])}


def _training_seconds(checkout: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        command = [
            sys.executable,
            str(checkout / "benchmarks" / "training.py"),
            "--way",
            "ours",
            "--out",
            str(out),
        ]
        subprocess.run(command, check=True, cwd=checkout, env=_environment(checkout))
        run = json.loads(out.read_text())
    return {"training, model in memory to file": run["training"], "a training step": run["step"]}


def _drawing_seconds(checkout: Path, rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", DRAWING, folder, str(rounds)]
        subprocess.run(command, check=True, cwd=checkout, env=_environment(checkout))
        seconds = json.loads((Path(folder) / "seconds.json").read_text())
    return {"drawing 64 shots": statistics.median(seconds)}


def _table(other: Path, ratios: dict[str, list[float]], seconds: dict[str, dict[str, list[float]]]) -> str:
    commit = subprocess.run(
        ["git", "-C", str(other), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    lines = [
        f"# This checkout against {commit}",
        "",
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "",
        f"| | s here | s {commit} | here / {commit}, pair by pair |",
        "|---|---|---|---|",
    ]
    for metric, values in ratios.items():
        here, there = (statistics.median(seconds[metric][name]) for name in ("here", "there"))
        listed = ", ".join(f"{value:.3f}" for value in values)
        lines.append(
            f"| {metric} | {here:.3f} | {there:.3f} | **{statistics.median(values):.3f}** ({listed}) |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
