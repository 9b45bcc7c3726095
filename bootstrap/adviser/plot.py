"""A plot of a training's measurements: two curves over the epochs, with the phases in the background."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from bootstrap.adviser.choosing import Phase, phases
from bootstrap.catalog.advices import Advice

_WIDTH, _HEIGHT = 720, 400  # pixels
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 64, _WIDTH - 24, _HEIGHT - 76  # edges of the plotting area
_PAPER, _INK, _FAINT, _GRID = "#ffffff", "#222222", "#777777", "#dddddd"
_CLOSENESS, _FLEXIBILITY = "#c2571a", "#1f6fb2"
_PHASES: dict[Phase, str] = {"early": "#f2f2f2", "trained": "#e3f3e6", "inflexible": "#f9e4e2"}


def draw_plot(title: str, advice: Advice) -> Image.Image:
    """Return the plot as an RGB picture of 720 x 400 pixels; values are clipped to 0 to 1."""
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((_LEFT, 12), title, _INK, ImageFont.load_default(16))
    epochs = [measurement.epoch for measurement in advice.measurements]
    _draw_phases(pen, phases(advice.measurements))
    _draw_axes(pen, epochs)
    _draw_curve(pen, [measurement.flexibility for measurement in advice.measurements], _FLEXIBILITY)
    _draw_curve(pen, [measurement.closeness for measurement in advice.measurements], _CLOSENESS)
    _draw_legend(pen)
    _draw_choice(pen, epochs, advice)
    return picture


def _x(index: int, count: int) -> float:
    """Return the middle of a snapshot's column in pixels."""
    return _LEFT + (_RIGHT - _LEFT) * (index + 0.5) / count


def _y(value: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * min(1.0, max(0.0, value))


def _draw_phases(pen: ImageDraw.ImageDraw, phase_of: Sequence[Phase]) -> None:
    half = (_RIGHT - _LEFT) / len(phase_of) / 2
    for index, phase in enumerate(phase_of):
        middle = _x(index, len(phase_of))
        pen.rectangle((round(middle - half), _TOP, round(middle + half), _BOTTOM), _PHASES[phase])
    for phase in _PHASES:
        centers = [
            _x(index, len(phase_of))
            for index, snapshot_phase in enumerate(phase_of)
            if snapshot_phase == phase
        ]
        if centers:
            middle = (centers[0] + centers[-1]) / 2
            pen.text((middle, _TOP + 4), phase, _FAINT, ImageFont.load_default(12), anchor="ma")


def _draw_axes(pen: ImageDraw.ImageDraw, epochs: Sequence[int]) -> None:
    small = ImageFont.load_default(12)
    for tenths in range(0, 11, 2):
        height = _y(tenths / 10)
        pen.line((_LEFT, height, _RIGHT, height), _GRID)
        pen.text((_LEFT - 8, height), f"{tenths / 10:.1f}", _FAINT, small, anchor="rm")
    every = -(-len(epochs) // 24)  # at most 24 numbers fit
    for index, epoch in enumerate(epochs):
        if index % every == 0:
            pen.text((_x(index, len(epochs)), _BOTTOM + 6), str(epoch), _FAINT, small, anchor="ma")
    pen.text((_LEFT - 8, _BOTTOM + 6), "epoch", _FAINT, small, anchor="ra")


def _draw_curve(pen: ImageDraw.ImageDraw, values: Sequence[float], color: str) -> None:
    points = [(_x(index, len(values)), _y(value)) for index, value in enumerate(values)]
    pen.line(points, color, 3, joint="curve")
    for x, y in points:
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), color)


def _draw_legend(pen: ImageDraw.ImageDraw) -> None:
    small = ImageFont.load_default(12)
    x = float(_LEFT)
    for text, color in (("closeness to the original", _CLOSENESS), ("flexibility", _FLEXIBILITY)):
        pen.line((x, 46, x + 22, 46), color, 3)
        pen.text((x + 28, 46), text, _INK, small, anchor="lm")
        x += 28 + small.getlength(text) + 28


def _draw_choice(pen: ImageDraw.ImageDraw, epochs: Sequence[int], advice: Advice) -> None:
    """Mark the snapshots to draw with below the axis; a snapshot that serves for both gets both labels."""
    small = ImageFont.load_default(12)
    words: dict[int, list[str]] = {}
    for epoch, word in ((advice.variation, "to vary"), (advice.replication, "to replicate")):
        words.setdefault(epoch, []).append(word)
    for epoch, lines in words.items():
        x, y = _x(epochs.index(epoch), len(epochs)), _BOTTOM + 26
        pen.polygon([(x, y), (x - 6, y + 9), (x + 6, y + 9)], _INK)
        for line, text in enumerate(lines):
            pen.text((x, y + 13 + 14 * line), text, _INK, small, anchor="ma")
