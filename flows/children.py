"""Processes that `sid` starts and stops again: their own session, a log file, and an end for sure."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


class StartError(RuntimeError):
    """A child ended, or stayed silent, before it was ready."""


@dataclass
class Child:
    """A running process; everything that it starts belongs to its session and ends with it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int  # bytes; what stands before was said by an earlier process

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return as soon as `ready` says yes.

        Raises:
            StartError: the process ended first, or the time is over; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.ended:
                raise StartError(self.obituary())
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} was not ready after {seconds:.0f} s{self._last_words()}")
            time.sleep(0.05)

    def stop(self, grace_seconds: float) -> None:
        """End the process, politely at first, and whatever it has left behind."""
        if not self.ended:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(grace_seconds)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what it has started itself, such as flow runs
        self.process.wait()

    def has_said(self, words: str) -> bool:
        """Whether the process has written these words to its log."""
        return words in self._output()

    def obituary(self) -> str:
        """How an ended process ended, with its last words."""
        return f"{self.name} ended with code {self.process.returncode}{self._last_words()}"

    def _output(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode("utf-8", errors="replace")

    def _last_words(self) -> str:
        lines = self._output().strip().splitlines()[-5:]
        return "".join(f"\n    {line}" for line in lines) + f"\n    (log: {self.log})"


def start(name: str, command: list[str], log: Path, environment: dict[str, str] | None = None) -> Child:
    """Start a command in a session of its own, so that Ctrl-C reaches only us, and we stop it in our order.

    Args:
        name: for messages.
        command: program and arguments.
        log: file that its output is added to.
        environment: variables on top of ours.
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
        )
    return Child(name, process, log, log_start)
