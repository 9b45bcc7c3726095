"""The base model recognizes what a picture shows: evidence is higher for a true caption."""

from pathlib import Path

import pytest
from PIL import Image

from bootstrap.adviser.evidence import evidence
from bootstrap.models.family import BaseModel


@pytest.fixture(scope="module")
def badge(originals: Path) -> Image.Image:
    return Image.open(originals / "badge.png").convert("RGB").resize((128, 128))


@pytest.mark.parametrize("other", ["crown", "medal", "scarf"])
def test_a_picture_shows_more_of_its_own_caption_than_of_anothers(
    papertown: BaseModel, badge: Image.Image, originals: Path, other: str
) -> None:
    pictures = [badge, Image.open(originals / f"{other}.png").convert("RGB").resize((128, 128))]
    own, of_other = ((originals / f"{name}.txt").read_text().strip() for name in ("badge", other))
    of_badge, of_the_other = evidence(papertown, pictures, [own] * 2, [of_other] * 2)
    assert of_badge > 0 > of_the_other


def test_a_picture_does_not_depend_on_its_batch(papertown: BaseModel, badge: Image.Image) -> None:
    pictures = [badge, badge.rotate(180), badge.convert("L").convert("RGB")]
    prompts, others = ["woman, teal wall", "robot", "no humans"], ["man", "woman, outdoors", ""]
    together = evidence(papertown, pictures, prompts, others)
    one_by_one = evidence(papertown, pictures, prompts, others, batch_size=1)
    assert together == pytest.approx(one_by_one, abs=1e-4)
    assert evidence(papertown, pictures, others, prompts) == pytest.approx(-together, abs=1e-4)
    assert evidence(papertown, [], [], []).shape == (0,)
