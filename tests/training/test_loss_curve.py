"""The file of the loss beside the snapshots: whole at the end, resumed at the right step, never a reason to fail."""

from pathlib import Path

import pytest

from bootstrap.progress import Progress, silent
from bootstrap.training import loss_curve


def train(folder: Path, first: int, last: int, total: int) -> None:
    report = loss_curve.following(folder, silent)
    report(Progress("train", first, total, "steps"))
    for step in range(first + 1, last + 1):
        report(Progress("train", step, total, "steps", loss=float(step)))


def test_a_long_training_has_few_points_each_the_mean_since_the_one_before(tmp_path: Path) -> None:
    train(tmp_path, 0, 4000, 4000)
    points = loss_curve.read(tmp_path)
    assert points[0] == (10, 5.5) and points[-1] == (4000, 3995.5) and len(points) == 400


def test_a_resumed_training_goes_on_where_it_resumes(tmp_path: Path) -> None:
    train(tmp_path, 0, 8, 8)
    train(tmp_path, 4, 6, 6)
    assert loss_curve.read(tmp_path) == [(step, float(step)) for step in range(1, 7)]


@pytest.mark.parametrize(
    "text", ["", "{}", '{"steps": [1], "losses": ["a"]}', "[" * 99, '{"steps": 1, "losses": 2}']
)
def test_a_damaged_file_is_no_curve(tmp_path: Path, text: str) -> None:
    (tmp_path / loss_curve.FILE).write_text(text)
    assert loss_curve.read(tmp_path) == []
    train(tmp_path, 0, 2, 2)
    assert loss_curve.read(tmp_path) == [(1, 1.0), (2, 2.0)]
