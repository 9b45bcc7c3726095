"""The measures of a LoRA without effect, and of stronger ones."""

from pathlib import Path

import pytest
from PIL import Image

from bootstrap import captions
from bootstrap.adviser.measuring import Task, measure
from bootstrap.catalog.advices import Measurement
from bootstrap.lora.kohya import LoraFile, LoraModule
from bootstrap.models.family import BaseModel
from bootstrap.shots import LoraUse, Shot
from tests.lora.test_merge import random_lora


def scaled(lora: LoraFile, factor: float) -> LoraFile:
    modules = {
        name: LoraModule(module.down, module.up * factor, module.alpha)
        for name, module in lora.modules.items()
    }
    return LoraFile(modules, lora.metadata)


@pytest.fixture(scope="module")
def measured(papertown: BaseModel, originals: Path) -> list[Measurement]:
    """Return the measurements of a LoRA without effect, a weak one, and one that destroys everything."""
    common = Shot("", "", 0, 3, "DDIM", 3.0, 64, 64, "papertown", papertown.hash, ())
    task = Task(
        Image.open(originals / "badge.png").convert("RGB").resize((64, 64)),
        captions.parse((originals / "badge.txt").read_text()),
        ["robot, orange robot, outdoors, beach", "no humans, green cup, pink wall"],
        common,
        16,
    )
    lora = random_lora(papertown, 1)
    files = [scaled(lora, factor) for factor in (0.0, 1.0, 30.0)]
    uses = [LoraUse(f"random-{epoch}", "t", epoch, 1.0) for epoch in (2, 4, 6)]
    return list(measure(papertown, task, zip(uses, files, strict=True)))


def test_a_lora_that_does_nothing_is_the_base_model(measured: list[Measurement]) -> None:
    nothing = measured[0]
    assert nothing.epoch == 2
    assert nothing.closeness == pytest.approx(0, abs=0.01)
    assert nothing.freedom == pytest.approx(1, abs=0.01)
    assert nothing.elimination == pytest.approx(1, abs=0.02)


def test_the_stronger_the_less_flexible(measured: list[Measurement]) -> None:
    assert [measurement.epoch for measurement in measured] == [2, 4, 6]
    nothing, weak, strong = (measurement.freedom for measurement in measured)
    assert nothing > weak > strong
    assert strong < 0.9
