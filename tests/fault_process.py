"""A process that runs a generation and grows the dataset once per line of its input, each time in a fork.

    python -m tests.fault_process WORKSPACE NAME

It imports everything and loads the model once. For each line, a number, it forks, prints the fork's process id, and
later its exit code. The fork does what is missing from generation 1: train, draw, curate, publish, accept every second
candidate, grow. The number says which write of a file finds the disk full; 0: none.
"""

import errno
import os
import sys
from pathlib import Path

import bootstrap  # noqa: F401  (imported first: it sets how torch's threads wait)
from bootstrap import files
from bootstrap.catalog import Catalog, generations, verdicts
from bootstrap.catalog.candidates import candidates
from bootstrap.catalog.states import Verdict
from bootstrap.curation import duplicate_marking, scoring  # noqa: F401  (imported before the forks)
from bootstrap.dataset import growth
from bootstrap.loop import generation
from bootstrap.models import loading
from bootstrap.project import running
from bootstrap.project.projects import Project, Workspace
from bootstrap.training import snapshot_training as training  # noqa: F401

FULL = 28


def do_what_is_missing(project: Project) -> None:
    """Run generation 1 up to its growth, or what is missing from it."""
    catalog = Catalog(project.workspace.catalog_url)
    statuses = generations.statuses(catalog, project.name)
    if statuses and statuses[-1].state == "grown":
        return
    if not statuses or statuses[-1].state != "published":
        with running.exclusively(project):
            begun = generation.prepare(project, catalog)
            generation.train(begun)
            generation.draw(begun)
            generation.curate(begun)
            generation.publish(begun)
    for index, candidate in enumerate(candidates(catalog, project.name)):
        if candidate.verdict is Verdict.UNDECIDED:
            verdict = Verdict.REJECT if index % 2 else Verdict.ACCEPT
            verdicts.decide(catalog, project.name, [candidate.id], verdict, "tester")
    growth.grow(project, catalog)


def fill_disk_at(write: int) -> None:
    """Make the write of a file with this number fail as on a full disk."""
    left, flush = write, os.fsync

    def fsync(handle: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    files.os.fsync = fsync  # type: ignore[attr-defined]


def main() -> None:
    project = Workspace(Path(sys.argv[1])).project(sys.argv[2])
    loading.hold(project.base_model)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                if int(line):
                    fill_disk_at(int(line))
                do_what_is_missing(project)
            except OSError as error:
                os._exit(FULL if error.errno == errno.ENOSPC else 1)
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
