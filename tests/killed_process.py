"""A process that runs `sid` commands, each in a fork that is killed just before one of its steps on the disk.

    python -m tests.killed_process

For each line of its input, JSON with `arguments` and `step`, it forks. The fork runs the command and, before the step
of that number, kills itself with SIGKILL: no `except`, no `finally` and no other process's help. A step is a file or
folder made, opened for writing, flushed, renamed or deleted, a change of its mode, or the commit of a transaction;
0 lets the command run to its end. The answer is a line of JSON with its exit code, the number of steps, and what it
wrote.
"""

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import bootstrap  # noqa: F401  (imported first: it sets how torch's threads wait)
from bootstrap.catalog import Catalog  # noqa: F401  (what the commands need is imported before the forks)
from bootstrap.cli import main as sid
from bootstrap.curation import duplicate_marking, publishing, scoring  # noqa: F401
from bootstrap.dataset import exporting, growth, retagging  # noqa: F401
from bootstrap.lora import converting, resize  # noqa: F401
from bootstrap.models import loading, specs
from bootstrap.upkeep import doctor, reindex  # noqa: F401

_STEPS = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.chmod",
    "os.truncate",
    "os.link",
    "os.symlink",
}


def count_steps(step: int, folder: str) -> Callable[[], int]:
    """Kill this process before the step of that number, and return a function that returns the steps so far.

    Args:
        folder: only steps in this folder count, as Python and libraries write elsewhere too.
    """
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _STEPS or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            path = arguments[0]
            if isinstance(path, int) or os.fspath(path).startswith(folder):
                one_more()

    fsync = os.fsync

    def counted_fsync(handle: int) -> None:
        one_more()
        fsync(handle)

    from sqlalchemy import Engine, event

    os.fsync = counted_fsync
    event.listen(Engine, "commit", lambda connection: one_more())
    sys.addaudithook(hook)  # for good, but this process is a fork that ends soon
    return lambda: done


def run(arguments: list[str], step: int, folder: str, answer: int) -> None:
    """Run a command, and write its exit code, steps and output to the file handle `answer`."""
    steps = count_steps(step, folder)
    sys.argv = ["sid", *arguments]
    code: Any = 0
    with redirect_stdout(io.StringIO()) as said, redirect_stderr(said):
        try:
            sid.main()
        except SystemExit as ended:
            code = ended.code
    told = {"code": code, "steps": steps(), "said": said.getvalue()}
    os.write(answer, json.dumps(told).encode())


def main() -> None:
    sid._load_verbs()
    loading.hold(specs.find("papertown"))
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                run(job["arguments"], job["step"], job["folder"], writing)
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            os._exit(code)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(child, 0)
        print(told.decode() or json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
