"""Keep processes running: one that ends by itself is started again, after longer and longer pauses."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bootstrap.cli.common import say
from flows.children import Child, StartError

PAUSES = (
    1.0,
    2.0,
    5.0,
    10.0,
)  # seconds before each start after deaths in a row; after one more there is none
QUICK_SECONDS = 60.0  # a process that has lived for longer begins to count anew


@dataclass
class Kept:
    """A process that is kept running.

    Attributes:
        child: the process, ready for use.
        start: starts it again and waits until it is ready; raises StartError. Its argument is when the last one died.
        grace: seconds for what it has started (flow runs) to end after it, before the next start.
    """

    child: Child
    start: Callable[[datetime], Child]
    grace: float = 0.0
    deaths: int = 0  # in a row
    since: float = field(default_factory=time.monotonic)  # when it was started last
    died: datetime = datetime.min
    due: float | None = None  # when it will be started again


class GivenUpError(RuntimeError):
    """A process ended too often; the message says which one, how often, and how it ended last."""


def keep(parts: Sequence[Kept], pauses: Sequence[float] = PAUSES, quick: float = QUICK_SECONDS) -> None:
    """Keep all of them running until an exception ends it; a start is said in one line.

    Raises:
        GivenUpError: one ended within `quick` seconds of its start once more than there are pauses.
    """
    while True:
        for part in parts:
            if part.due is None and part.child.ended:
                part.died = datetime.now(UTC)
                part.child.bury(part.grace)
                _plan(part, pauses, quick, part.child.cause(), part.child.obituary())
            elif part.due is not None and time.monotonic() >= part.due:
                _start(part, pauses, quick)
        time.sleep(0.2)


def _plan(part: Kept, pauses: Sequence[float], quick: float, cause: str, whole: str) -> None:
    part.deaths = part.deaths + 1 if time.monotonic() - part.since < quick else 1
    if part.deaths > len(pauses):
        raise GivenUpError(f"{part.child.name} ended {part.deaths} times in a row; the last time:\n  {whole}")
    pause = pauses[part.deaths - 1]
    say(
        f"{part.child.name} {cause}; started again in {pause:g} s (log: {part.child.log})",
        of_trouble=True,
    )
    part.due = time.monotonic() + pause


def _start(part: Kept, pauses: Sequence[float], quick: float) -> None:
    part.due, part.since = None, time.monotonic()
    try:
        part.child = part.start(part.died)
    except StartError as error:
        _plan(part, pauses, quick, "did not start", str(error))
    else:
        say(f"running again: {part.child.name}", of_trouble=True)
