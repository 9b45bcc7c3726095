"""Processes that `sid` starts and stops: each has its own session and log file, and none outlives `sid`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flows import watcher

KILLED_GRACE_SECONDS = 15.0  # for children if we are killed; a running flow stops between two steps


class StartError(RuntimeError):
    """A child ended or timed out before it was ready."""


@dataclass
class Child:
    """A running process; the processes it starts belong to its session and end with it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int  # bytes; earlier output is from previous processes

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` returns True.

        Raises:
            StartError: the process ended first, or the time ran out; the message holds the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.ended:
                raise StartError(self.obituary())
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} was not ready after {seconds:.0f} s{self._last_lines()}")
            time.sleep(0.05)

    def stop(self, grace_seconds: float) -> None:
        """Terminate the process, kill it after `grace_seconds`, and kill whatever it has left running."""
        if not self.ended:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(grace_seconds)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # processes that it has started, such as flow runs
        self.process.wait()
        _tell_watcher("-", self.process.pid)

    def bury(self, grace_seconds: float) -> None:
        """After its end: give what it has started these seconds to end too, then kill what is left."""
        deadline = time.monotonic() + grace_seconds
        while time.monotonic() < deadline and watcher.is_left(self.process.pid):
            time.sleep(0.1)
        self.stop(0)

    def cause(self) -> str:
        """Return how an ended process ended, in a few words."""
        code = self.process.returncode
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"

    def has_said(self, words: str) -> bool:
        """Whether the process has written these words to its log."""
        return words in self._output()

    def obituary(self) -> str:
        """Return the exit code of an ended process and the last lines of its log."""
        return f"{self.name} {self.cause()}{self._last_lines()}"

    def _output(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode("utf-8", errors="replace")

    def _last_lines(self) -> str:
        lines = self._output().strip().splitlines()[-5:]
        return "".join(f"\n    {line}" for line in lines) + f"\n    (log: {self.log})"


def start(
    name: str,
    command: list[str],
    log: Path,
    environment: dict[str, str] | None = None,
    descriptors: tuple[int, ...] = (),
) -> Child:
    """Start a command in its own session, so that Ctrl-C reaches only us and we choose the order of stopping.

    If this process is killed, it ends all the same, see flows.leash and flows.watcher.

    Args:
        name: name of the child in messages.
        command: program and arguments.
        log: file that its output is appended to.
        environment: variables added to ours.
        descriptors: open files and sockets that it keeps.
    """
    leashed = [sys.executable, "-m", "flows.leash", str(os.getpid()), *command]
    with log.open("ab") as output:
        log_start = output.tell()
        process = subprocess.Popen(
            leashed,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            pass_fds=descriptors,
        )
    _tell_watcher("+", process.pid)
    return Child(name, process, log, log_start)


def _tell_watcher(change: str, pid: int) -> None:
    """Have the watcher end this process if we are killed ("+"), or no longer do so ("-")."""
    pipe = _watcher().stdin
    assert pipe is not None
    with suppress(BrokenPipeError):  # somebody has ended it
        pipe.write(f"{change}{pid}\n".encode())
        pipe.flush()


@cache
def _watcher() -> "subprocess.Popen[bytes]":
    """Start this process's watcher, which ends when this process does."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.watcher", str(KILLED_GRACE_SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
