"""A process that does a generation and grows its dataset as often as it is told to, each time in a fork.

    python -m tests.fault_process WORKSPACE NAME

It imports everything and loads the model once; then for each line on its input, a number, it forks, prints the fork's
id, and afterwards its exit code. The fork does what is missing of generation 1: train, draw, curate, publish, accept
every second candidate, grow. The number says which write of a file finds the disk full, 0: none.
"""

import errno
import os
import sys
from pathlib import Path

import bootstrap  # noqa: F401  (first of all: it says how torch's threads wait)
from bootstrap import files
from bootstrap.catalog import Catalog, generations, verdicts
from bootstrap.catalog.candidates import candidates
from bootstrap.catalog.states import Verdict
from bootstrap.curation import run, scoring  # noqa: F401  (imported before the forks)
from bootstrap.dataset import growth
from bootstrap.loop import generation
from bootstrap.models import loading
from bootstrap.project import running
from bootstrap.project.projects import Project, Workspace
from bootstrap.training import run as training  # noqa: F401

FULL = 28


def do_what_is_missing(project: Project) -> None:
    """Do generation 1 up to its growth, or what is missing of it."""
    catalog = Catalog(project.workspace.catalog_url)
    known = generations.statuses(catalog, project.name)
    if known and known[-1].state == "grown":
        return
    if not known or known[-1].state != "published":
        with running.exclusively(project):
            begun = generation.prepare(project, catalog)
            generation.train(begun)
            generation.draw(begun)
            generation.curate(begun)
            generation.publish(begun)
    shown = candidates(catalog, project.name)
    for index, one in enumerate(shown):
        if one.verdict is Verdict.UNDECIDED:
            verdict = Verdict.REJECT if index % 2 else Verdict.ACCEPT
            verdicts.decide(catalog, project.name, [one.id], verdict, "tester")
    growth.grow(project, catalog)


def fill_disk_at(write: int) -> None:
    """Let that write of a file fail as on a full disk."""
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
