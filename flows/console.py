"""The progress of a foreground run: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from bootstrap.errors import cell, printable
from bootstrap.progress import Progress, Report, silent

# A foreground run calls its tasks in its own thread, so they see its context variables.
_listener: ContextVar[Report] = ContextVar("listener", default=silent)

_LINE_EVERY_SECONDS = 10.0
_BAR_WIDTH = 20
_LOG_EVERY_SECONDS = 30.0  # a night's log is read by a person


def report(progress: Progress) -> None:
    """Pass a station's report to this process's listener, if any; a served flow has none."""
    _listener.get()(progress)


def is_shown() -> bool:
    """Return whether somebody listens to the reports."""
    return _listener.get() is not silent


@contextmanager
def progress_shown(console: Console) -> Iterator[None]:
    """Show the stations' reports on the console until the block ends."""
    if console.is_terminal:
        with _bars(console) as bars, _listening(_BarReport(bars)):
            yield
    else:
        with _listening(_LineReport(partial(_print, console))):
            yield


@contextmanager
def progress_logged(log: Callable[[str], None]) -> Iterator[None]:
    """Write the stations' reports as lines to a log until the block ends."""
    with _listening(_LineReport(log, _LOG_EVERY_SECONDS)):
        yield


@contextmanager
def _listening(listener: Report) -> Iterator[None]:
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def _bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description:<7}"),
        BarColumn(bar_width=_BAR_WIDTH),
        MofNCompleteColumn(),
        TextColumn("{task.fields[time]}"),
        TextColumn("{task.fields[detail]}", markup=False),
        console=console,
        refresh_per_second=5,
    )


class _BarReport:
    """A progress bar for each stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        # Importing torch and reading the base model takes up to half a minute, of which nothing else tells.
        self._start: TaskID | None = bars.add_task(
            "start", total=None, time="", detail="loading the libraries and the base model"
        )

    def __call__(self, progress: Progress) -> None:
        if self._start is not None:
            self._bars.remove_task(self._start)
            self._start = None
        if progress.note:
            _print(self._bars.console, f"{progress.stage}: {progress.note}")
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(
                progress.stage, total=progress.total, time="", detail=""
            )
            self._began[progress.stage] = time.monotonic()
        task, is_done = self._tasks[progress.stage], progress.done >= progress.total
        took = f"{_clock(time.monotonic() - self._began[progress.stage])} in all" if is_done else ""
        self._bars.update(
            task, completed=progress.done, total=progress.total, time=took or time_left(progress),
            detail=_cut(_speed_and_detail(progress), self._bars.console.width - 2 * len(str(progress.total))),
        )  # fmt: skip
        if is_done:
            self._bars.stop_task(task)


class _LineReport:
    """A line when a stage begins and when it ends, and one every so many seconds in between."""

    def __init__(self, write: Callable[[str], None], every_seconds: float = _LINE_EVERY_SECONDS) -> None:
        self._write, self._every_seconds = write, every_seconds
        self._last_printed: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.note:
            self._write(f"{progress.stage}: {progress.note}")
        last = self._last_printed.get(progress.stage)
        finished = progress.done >= progress.total
        if last is not None and not finished and time.monotonic() - last < self._every_seconds:
            return
        self._last_printed[progress.stage] = time.monotonic()
        text = f"{progress.stage}: {progress.done}/{progress.total} {details(progress)}"
        self._write(text.rstrip())


def _print(console: Console, text: str) -> None:
    console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def details(progress: Progress) -> str:
    """Return the text next to the bar: unit, loss, rate and time left."""
    parts = [progress.unit]
    if progress.detail:
        parts.append(progress.detail)
    if progress.rate > 0:
        parts.append(f"{progress.rate:.3g} {progress.unit}/s")
    parts.append(time_left(progress))
    return cell(", ".join(part for part in parts if part), 200)


def time_left(progress: Progress) -> str:
    """Return the time that the stage still takes, such as "1:23 left"; empty while that is unknown."""
    left = progress.seconds_left
    return f"{_clock(left)} left" if left is not None and progress.done < progress.total else ""


def _speed_and_detail(progress: Progress) -> str:
    speed = f"{progress.rate:.3g} {progress.unit}/s" if progress.rate > 0 else progress.unit
    return cell(", ".join(part for part in (speed, progress.detail) if part), 200)


def _cut(detail: str, width: int) -> str:
    """Return what of the detail fits beside stage, bar, counts and time: rich would cut the counts instead."""
    room = width - len("train  ") - _BAR_WIDTH - len("/") - len("10:00:00 left") - len("    ")
    return cell(detail, room) if room > 1 else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
