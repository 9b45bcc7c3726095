"""How much faster are many workers, and what do the flows cost? On Paper Town, with Prefect, Ray and PostgreSQL.

    python benchmarks/scaling.py            # about six minutes on two cores

Needs the extras [postgres] and [cluster] and Debian's postgresql. It measures three things:
(a) pictures a second with one and with two Ray workers of one thread each, from the times of the first and the last
    candidate in the catalog;
(b) the overhead of the flow. A finished generation runs again as a flow with its concurrency limits, and as plain calls
    of its stations, in one process with a Prefect server running; then as `sid run`, and as plain calls, each in a new
    process, imports included. A shard with nothing to draw runs as a task and as a plain call. CPU time is measured as
    well, for machines that run other processes too;
(c) how many batches of eight candidates a second a PostgreSQL catalog takes, from one writer and from four.
From these figures it extrapolates to 4, 16 and 64 GPUs and finds the first limit. Prints the page and writes it to
benchmarks/results/scaling.md.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bootstrap.files import write_text
from bootstrap.project import running
from bootstrap.project.generation import Generation

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
RESULTS = ROOT / "benchmarks" / "results" / "scaling.md"
GPU_BATCH = 8
# Pictures a second of a GPU of 100 TFLOP/s: Stable Diffusion 1.5 at 512 x 512, 20 steps with guidance, 2 x 20 x 0.803
# TFLOP a picture.
GPU_PICTURES = 100 / (2 * 20 * 0.803)
GPUS = (1, 4, 16, 64)
_MOST_BATCHES = 10**6  # upper limit of what a writer writes in its few seconds


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds of one call, medians."""

    wall: float
    cpu: float


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # each worker has one thread, with and without a second worker
    load = os.getloadavg()[0]
    from tests import postgres

    with tempfile.TemporaryDirectory() as folder, postgres.running() as server:
        writes = {writers: _batches_a_second(server.new_database(), writers) for writers in (1, 4)}
        print(f"batches a second, by writers: {writes}", flush=True)
        rates = {
            workers: statistics.median(
                _drawing_rate(
                    Path(folder) / f"{workers}-{turn}", server.new_database(), workers, arguments.pictures
                )
                for turn in range(arguments.rounds)
            )
            for workers in (1, 2)
        }
        print(f"pictures a second, by workers: {rates}", flush=True)
        costs = _flow_costs(Path(folder) / "flow", arguments.rounds + 1)
    head = f"`python benchmarks/scaling.py --pictures {arguments.pictures} --rounds {arguments.rounds}`; "
    head += f"{platform.machine()}, "
    head += f"{os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after"
    page = _page(head, rates, costs, writes)
    print(page)
    write_text(RESULTS, page)


# --- (a) pictures a second ----------------------------------------------------------------------------


def _drawing_rate(folder: Path, url: str, workers: int, pictures: int) -> float:
    """Draw with this many Ray workers in a new process; return pictures a second, start-up excluded."""
    environment = {
        **os.environ,
        "SID_CATALOG_URL": url,
        "SID_RAY_ADDRESS": "local",
        "PYTHONPATH": _python_path(),
    }
    code = "import sys; from scaling import draw_on_ray; draw_on_ray(*sys.argv[1:])"
    subprocess.run(
        [sys.executable, "-c", code, str(folder), str(workers), str(pictures)],
        env=environment,
        check=True,
        cwd=ROOT,
    )
    import rows

    from bootstrap.catalog import Catalog

    with closing(Catalog(url)) as catalog:
        moments = [row.created_at for row in rows.read(catalog, "candidate")]
    first, last = min(moments), max(moments)
    return float((len(moments) - moments.count(first)) / (last - first).total_seconds())


def _python_path() -> str:
    inherited = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks"), inherited])


def draw_on_ray(folder: str, workers: str, pictures: str) -> None:
    """Draw the candidates of a small project in a flow; the measured process runs this."""
    project = _small_project(Path(folder), int(pictures))
    os.environ["PREFECT_HOME"] = str(Path(folder) / ".prefect")
    from flows import environment, server

    environment.prepare(project.workspace)
    prefect = server.Server(project.workspace, schedules=False)
    prefect.wait()
    os.environ.update(prefect.variables)
    try:
        import ray
        from prefect import flow

        from flows import drawing

        # The flow's connected() uses the Ray instance that this process has already started.
        ray.init("local", num_cpus=int(workers), include_dashboard=False, log_to_driver=False)

        @flow(name="benchmark")
        def draw() -> None:
            drawing.draw_in_shards(str(project.workspace.folder), project.name, 1, None)

        draw()
    finally:
        prefect.stop()


def _small_project(folder: Path, pictures: int) -> Any:
    from tests.drawing.small import small_trained_project

    project = small_trained_project(folder, ROOT / "bootstrap" / "papertown" / "originals")
    text = (
        project.toml.read_text()
        .replace("count = 4", f"count = {pictures}")
        .replace("steps = 2", "steps = 16")
    )
    project.toml.write_text(text)
    return type(project)(project.workspace, project.name)


# --- (b) what the flow costs --------------------------------------------------------------------------


def _flow_costs(folder: Path, rounds: int) -> dict[str, Cost]:
    project = _small_project(folder, 4)
    os.environ["PREFECT_HOME"] = str(folder / ".prefect")
    from bootstrap.catalog import Catalog
    from bootstrap.drawing.shards import Shard
    from bootstrap.loop import generation
    from flows import environment, server

    environment.prepare(project.workspace)
    prefect = server.Server(project.workspace, schedules=False)
    prefect.wait()
    os.environ.update(prefect.variables)
    try:
        from prefect import flow

        from flows import drawing
        from flows.bootstrap import bootstrap

        where = {"workspace": str(project.workspace.folder), "project": project.name}

        def plain() -> None:
            generate(project)

        def as_flow() -> None:
            bootstrap(**where)

        empty = Shard(1, [], 4, 4)

        def plain_shard() -> None:
            with closing(Catalog(project.workspace.catalog_url)) as catalog:
                generation.draw_shard(Generation(project, catalog, 1), empty)

        @flow(name="shards")
        def shards(count: int) -> None:
            for _ in range(count):
                drawing.draw_shard(**where, number=1, shard=empty.to_dict(), until=None, alone=True)

        plain()  # draws everything and imports everything, so that the measured calls find it done
        as_flow()
        generation_costs = _costs_in_turn(plain, as_flow, rounds)
        shards(1)
        many_shards, one_shard = _costs_in_turn(lambda: shards(21), lambda: shards(1), rounds)
        plain_shard_cost, _ = _costs_in_turn(plain_shard, lambda: None, rounds)
    finally:
        prefect.stop()
        for name in prefect.variables:
            del os.environ[name]
    arguments = ["--workspace", str(project.workspace.folder), "run", project.name]
    code = "import sys; from scaling import generate_in_process; generate_in_process(*sys.argv[1:])"
    processes = _costs_in_turn(
        lambda: _run_python(["-c", code, str(project.workspace.folder), project.name]),
        lambda: _run_python(["-m", "bootstrap", *arguments]),
        rounds,
    )
    return {
        "plain": generation_costs[0],
        "flow": generation_costs[1],
        "plain process": processes[0],
        "sid run": processes[1],
        "shard": Cost((many_shards.wall - one_shard.wall) / 20, (many_shards.cpu - one_shard.cpu) / 20),
        "plain shard": plain_shard_cost,
    }


def generate(project: Any) -> None:
    """Run one generation by plain calls of the library."""
    from bootstrap.catalog import Catalog
    from bootstrap.loop import generation

    with closing(Catalog(project.workspace.catalog_url)) as catalog, running.exclusively(project):
        begun = generation.prepare(project, catalog)
        generation.train(begun)
        generation.draw(begun)
        generation.curate(begun)
        generation.publish(begun)


def generate_in_process(folder: str, name: str) -> None:
    """Run one generation by plain calls; the measured process runs this and nothing else."""
    from bootstrap.project.projects import Workspace

    generate(Workspace.locate(folder).project(name))


def _run_python(arguments: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": _python_path()}
    subprocess.run(
        [sys.executable, *arguments], env=environment, check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )


def _costs_in_turn(first: Callable[[], None], second: Callable[[], None], rounds: int) -> tuple[Cost, Cost]:
    """Measure two calls alternately; return the median cost of each."""
    measured: tuple[list[Cost], list[Cost]] = ([], [])
    for _ in range(rounds):
        for call, costs in zip((first, second), measured, strict=True):
            wall, cpu = time.monotonic(), _cpu_seconds()
            call()
            costs.append(Cost(time.monotonic() - wall, _cpu_seconds() - cpu))
    first_median, second_median = (
        Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.cpu for cost in costs))
        for costs in measured
    )
    return first_median, second_median


def _cpu_seconds() -> float:
    """Return the CPU seconds that this process and its terminated children have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


# --- (c) what the catalog takes -----------------------------------------------------------------------


def _batches_a_second(url: str, writers: int, seconds: float = 5.0) -> float:
    from bootstrap.catalog import Catalog, generations

    with closing(Catalog(url)) as catalog:
        generations.begin(catalog, "apple")
    with get_context("spawn").Pool(writers) as pool:
        pool.starmap(
            _write, [(url, 0.1, writers + writer) for writer in range(writers)]
        )  # imports and connections
        return sum(pool.starmap(_write, [(url, seconds, writer) for writer in range(writers)]))


def _write(url: str, seconds: float, writer: int) -> float:
    """Write candidates as the drawing station does; return batches a second."""
    from making import shot

    from bootstrap.catalog import Catalog, candidate_states
    from bootstrap.catalog.candidate_states import NewCandidate

    batches = 0
    with closing(Catalog(url)) as catalog:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            first = (writer * _MOST_BATCHES + batches) * GPU_BATCH
            shots = [shot(first + index) for index in range(GPU_BATCH)]
            new = [NewCandidate(one.id, one, Path("x")) for one in shots]
            candidate_states.add_drawn(catalog, "apple", 1, new)
            batches += 1
    return batches / seconds


# --- the page -----------------------------------------------------------------------------------------


def _page(head: str, rates: dict[int, float], costs: dict[str, Cost], writes: dict[int, float]) -> str:
    flow, run, shard = (
        Cost(costs[measured].wall - costs[plain].wall, costs[measured].cpu - costs[plain].cpu)
        for measured, plain in (("flow", "plain"), ("sid run", "plain process"), ("shard", "plain shard"))
    )
    lines = [
        "# Scaling: workers, flows, catalog", "", head, "",
        "| measured | |", "|---|---|",
        f"| one Ray worker, pictures/s | {rates[1]:.2f} |",
        f"| two Ray workers, pictures/s | {rates[2]:.2f}, **{rates[2] / rates[1]:.2f}** times one |",
        f"| the flow's overhead a generation, s | **{flow.wall:.2f}** (CPU {flow.cpu:.2f}); wanted: 3 at most |",
        f"| `sid run`'s overhead a generation, over plain calls in a process, s | **{run.wall:.2f}** "
        f"(CPU {run.cpu:.2f}); wanted: 3 at most |",
        f"| a shard's overhead, ms | **{1000 * shard.wall:.0f}** (CPU {1000 * shard.cpu:.0f}); wanted: 50 at most |",
        f"| PostgreSQL, batches of {GPU_BATCH} candidates/s, one writer | {writes[1]:.0f} |",
        f"| PostgreSQL, batches of {GPU_BATCH} candidates/s, four writers | {writes[4]:.0f} |",
        "", *_extrapolation(shard, writes),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _extrapolation(shard: Cost, writes: dict[int, float]) -> list[str]:
    """Return the lines on many GPUs, extrapolated from the measured figures."""
    from bootstrap.drawing.shards import BATCHES_PER_SHARD

    per_shard = BATCHES_PER_SHARD * GPU_BATCH
    share = shard.wall / (per_shard / GPU_PICTURES + shard.wall)
    lines = [
        "## What follows for 4, 16 and 64 GPUs", "",
        f"Extrapolated, not measured: a GPU of 100 TFLOP/s draws {GPU_PICTURES:.1f} pictures/s of Stable Diffusion "
        f"1.5 (512 x 512, 20 steps, with guidance: 40 x 0.803 TFLOP). A shard of {per_shard} pictures takes "
        f"{per_shard / GPU_PICTURES:.0f} s, {100 * share:.2f} % of it overhead. The catalog takes {writes[4]:.0f} "
        "batches/s from many writers, one at a time, on this machine's cores.",
        "", "| GPUs | pictures/s | batches/s into the catalog | share of what the catalog takes |", "|---|---|---|---|",
    ]  # fmt: skip
    for count in GPUS:
        pictures = count * GPU_PICTURES * (1 - share)
        batches = pictures / GPU_BATCH
        lines.append(f"| {count} | {pictures:.0f} | {batches:.1f} | {100 * batches / writes[4]:.0f} % |")
    most = writes[4] * GPU_BATCH / GPU_PICTURES
    lines += [
        "",
        f"The catalog's single writer is the first limit, at about {most:.0f} such GPUs on a database as slow as this. "
        "Not included: network and shared folder (PNGs of about half a MB: 64 GPUs write about 100 MB/s), and the "
        "start of a generation, where one GPU trains while the others wait or work on other projects.",
    ]
    return lines


if __name__ == "__main__":
    main()
