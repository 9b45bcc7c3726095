"""The progress of a foreground run: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from bootstrap.errors import cell, printable
from bootstrap.progress import Progress, Report, silent

# A foreground run calls its tasks in its own thread, so they see its context variables.
_listener: ContextVar[Report] = ContextVar("listener", default=silent)

_LINE_EVERY_SECONDS = 10.0


def report(progress: Progress) -> None:
    """Pass a station's report to this process's listener, if any; a served flow has none."""
    _listener.get()(progress)


@contextmanager
def progress_shown(console: Console) -> Iterator[None]:
    """Show the stations' reports on the console until the block ends."""
    if console.is_terminal:
        with _bars(console) as bars:
            token = _listener.set(_BarReport(bars))
            try:
                yield
            finally:
                _listener.reset(token)
        return
    token = _listener.set(_LineReport(console))
    try:
        yield
    finally:
        _listener.reset(token)


def _bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description:<7}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        refresh_per_second=5,
    )


class _BarReport:
    """A progress bar for each stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.note:
            _print(self._bars.console, f"{progress.stage}: {progress.note}")
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(progress.stage, total=progress.total, detail="")
        task = self._tasks[progress.stage]
        self._bars.update(task, completed=progress.done, total=progress.total, detail=details(progress))
        if progress.done >= progress.total:
            self._bars.stop_task(task)


class _LineReport:
    """A line when a stage begins and when it ends, and one every _LINE_EVERY_SECONDS in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_printed: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.note:
            _print(self._console, f"{progress.stage}: {progress.note}")
        last = self._last_printed.get(progress.stage)
        finished = progress.done >= progress.total
        if last is not None and not finished and time.monotonic() - last < _LINE_EVERY_SECONDS:
            return
        self._last_printed[progress.stage] = time.monotonic()
        text = f"{progress.stage}: {progress.done}/{progress.total} {details(progress)}"
        _print(self._console, text.rstrip())


def _print(console: Console, text: str) -> None:
    console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def details(progress: Progress) -> str:
    """Return the text next to the bar: unit, loss, rate and time left."""
    parts = [progress.unit]
    if progress.detail:
        parts.append(progress.detail)
    if progress.rate > 0:
        parts.append(f"{progress.rate:.3g} {progress.unit}/s")
    left = progress.seconds_left
    if left is not None and progress.done < progress.total:
        parts.append(f"{_clock(left)} left")
    return cell(", ".join(part for part in parts if part), 200)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
