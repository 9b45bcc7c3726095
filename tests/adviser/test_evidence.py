"""The base model sees what a picture shows: evidence is higher where the tag is true."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bootstrap import captions
from bootstrap.adviser.evidence import evidence
from bootstrap.base_model import BaseModel


def recolored(picture: Image.Image, color: tuple[int, int, int], new: tuple[int, int, int]) -> Image.Image:
    pixels = np.asarray(picture).astype(int)
    near = np.abs(pixels - np.array(color)).max(axis=2) < 40
    pixels[near] = new
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def badge(originals: Path) -> Image.Image:
    return Image.open(originals / "badge.png").convert("RGB").resize((128, 128))


def test_a_teal_wall_is_seen_where_there_is_one(
    papertown: BaseModel, badge: Image.Image, originals: Path
) -> None:
    tags = captions.parse((originals / "badge.txt").read_text())
    wall = badge.getpixel((120, 6))
    red = recolored(badge, wall, (240, 150, 150))
    whole, without = captions.join(tags), captions.join(captions.without(tags, ["teal wall"]))
    teal_wall, red_wall = evidence(papertown, [badge, red], [whole] * 2, [without] * 2)
    assert teal_wall > red_wall
    of_red = whole.replace("teal wall", "red wall")
    assert np.diff(evidence(papertown, [badge, red], [of_red] * 2, [whole] * 2)) > 0


def test_a_picture_does_not_depend_on_its_batch(papertown: BaseModel, badge: Image.Image) -> None:
    pictures = [badge, badge.rotate(180), badge.convert("L").convert("RGB")]
    prompts, others = ["woman, teal wall", "robot", "no humans"], ["man", "woman, outdoors", ""]
    together = evidence(papertown, pictures, prompts, others)
    one_by_one = evidence(papertown, pictures, prompts, others, batch_size=1)
    assert together == pytest.approx(one_by_one, abs=1e-4)
    assert evidence(papertown, pictures, others, prompts) == pytest.approx(-together, abs=1e-4)
    assert evidence(papertown, [], [], []).shape == (0,)
