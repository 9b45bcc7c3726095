"""Vectors of pictures: the same scene is nearer than any other, and a vector depends on its picture alone."""

import numpy as np
import pytest
from making import scene
from PIL import Image, ImageEnhance

from bootstrap.models.family import BaseModel
from bootstrap.pictures.features import embed


def changed(picture: Image.Image) -> list[Image.Image]:
    """Return the same scene darker, slightly cropped, and at very low resolution."""
    small = picture.resize((48, 48)).resize(picture.size)
    return [
        ImageEnhance.Brightness(picture).enhance(0.8),
        picture.crop((5, 5, 123, 123)).resize((128, 128)),
        small,
    ]


@pytest.fixture(scope="module")
def pictures(originals) -> list[Image.Image]:
    original_pictures = [
        Image.open(path).convert("RGB").resize((128, 128)) for path in sorted(originals.glob("*.png"))
    ]
    return [*original_pictures, *(scene(number) for number in range(4))]


def test_a_changed_picture_is_nearer_to_its_own_than_to_any_other(papertown: BaseModel, pictures) -> None:
    vectors = embed(papertown, pictures)
    for index, picture in enumerate(pictures):
        cosines = embed(papertown, changed(picture)) @ vectors.T
        assert (cosines.argmax(axis=1) == index).all()


def test_rows_are_of_length_one_and_in_order(papertown: BaseModel, pictures) -> None:
    vectors = embed(papertown, pictures, batch_size=5)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(pictures)), abs=1e-5)
    alone = embed(papertown, [pictures[3]])
    assert vectors @ alone[0] == pytest.approx(embed(papertown, pictures) @ alone[0], abs=1e-3)
    assert vectors[3] @ alone[0] == pytest.approx(1.0, abs=1e-3)


def test_no_pictures_give_no_rows_of_the_same_width(papertown: BaseModel, pictures) -> None:
    assert embed(papertown, []).shape == (0, embed(papertown, pictures[:1]).shape[1])


def test_other_sizes_and_an_unchanged_model(papertown: BaseModel) -> None:
    before = len(papertown.denoiser.mid_block._forward_hooks)
    oblong = scene(1).resize((160, 96))
    assert embed(papertown, [oblong]).shape == embed(papertown, [scene(1)]).shape
    assert len(papertown.denoiser.mid_block._forward_hooks) == before
