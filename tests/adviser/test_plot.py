"""The plot shows both curves and marks the chosen snapshots, for any number of snapshots."""

import numpy as np
import pytest
from PIL import ImageColor

from bootstrap.adviser import plot
from bootstrap.adviser.choosing import choose
from bootstrap.catalog.advices import Measurement


@pytest.mark.parametrize("count", [1, 2, 6, 100])
def test_both_curves_are_drawn_at_their_height(count: int) -> None:
    measured = [Measurement(1 + index, 0.25, 0.75, None) for index in range(count)]
    pixels = np.asarray(plot.draw_plot("apple, generation 1", choose(measured)))
    field = pixels[64:324, 56:]  # without the legend above and the numbers below
    rows = {}
    for name, color in (("closeness", plot._CLOSENESS), ("flexibility", plot._FLEXIBILITY)):
        rows[name] = np.argwhere((field == ImageColor.getrgb(color)).all(axis=2))[:, 0].mean()
    assert rows["flexibility"] == pytest.approx(0.25 * 260, abs=2)
    assert rows["closeness"] == pytest.approx(0.75 * 260, abs=2)


def test_other_choices_look_different() -> None:
    rising = [Measurement(n, n / 6, 1 - n / 12, None) for n in range(1, 7)]
    advice = choose(rising)
    other = type(advice)(rising, 1, 2)
    assert plot.draw_plot("a", advice).tobytes() != plot.draw_plot("a", other).tobytes()


def test_values_beyond_the_field_stay_in_it() -> None:
    wild = [Measurement(1, -3.0, 2.0, None), Measurement(2, 5.0, -1.0, None)]
    picture = plot.draw_plot("a", choose(wild))
    assert picture.size == (720, 400)
    above = np.asarray(picture)[:38]
    assert not (above == ImageColor.getrgb(plot._CLOSENESS)).all(axis=2).any()
