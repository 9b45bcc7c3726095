"""Quality from pixels: worse copies score lower, and only hopeless pictures are flawed."""

import numpy as np
import pytest
from making import scene
from PIL import Image, ImageEnhance, ImageFilter

from bootstrap.pictures.quality import measure, noise_of

ORIGINAL = measure(scene(0))


def noisy(picture, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, np.asarray(picture).shape)
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("sigma", [2.0, 8.0, 25.0])
def test_noise_is_measured_in_gray_levels(sigma):
    flat = 128 + np.random.default_rng(1).normal(0, sigma, (200, 200))
    assert noise_of(flat) == pytest.approx(sigma, rel=0.05)


def test_outlines_and_shades_are_no_noise():
    shade = np.add.outer(np.arange(100.0), 0.5 * np.arange(100.0))
    assert noise_of(shade) == pytest.approx(0, abs=1e-9)
    assert measure(scene(3)).noise < 1


@pytest.mark.parametrize("number", range(5))
def test_worse_copies_have_less_quality(number):
    picture = scene(number)
    original = measure(picture)
    assert original.quality(original) == 1
    slightly_soft, very_soft = (
        measure(picture.filter(ImageFilter.GaussianBlur(radius))) for radius in (1, 3)
    )
    assert 1 > slightly_soft.quality(original) > very_soft.quality(original) > 0
    assert (
        1 > measure(noisy(picture, 6)).quality(original) > measure(noisy(picture, 20)).quality(original) > 0
    )
    # With less contrast, so that brightening burns more of the picture:
    plain = ImageEnhance.Contrast(picture).enhance(0.6)
    assert measure(ImageEnhance.Brightness(plain).enhance(4)).quality(measure(plain)) < 0.6


def test_other_good_pictures_are_mostly_no_worse_for_being_others():
    """Some have fewer outlines than the original, which cannot be distinguished from being softer."""
    assert np.median([measure(scene(number)).quality(ORIGINAL) for number in range(1, 30)]) > 0.9


def test_hopeless_pictures_are_flawed():
    assert measure(Image.new("RGB", (128, 128))).flaw(ORIGINAL) == "blank"
    assert measure(noisy(Image.new("RGB", (128, 128), "gray"), 3)).flaw(ORIGINAL) == "blank"
    assert measure(noisy(Image.new("RGB", (128, 128), "gray"), 60)).flaw(ORIGINAL) == "noise"
    burnt = Image.eval(scene(1), lambda value: 255 if value > 127 else 0)
    assert measure(burnt).flaw(measure(ImageEnhance.Contrast(scene(1)).enhance(0.6))) == "burnt"


def test_what_is_worth_a_look_is_not_flawed():
    for number in range(1, 30):
        picture = scene(number)
        for version in (picture, picture.filter(ImageFilter.GaussianBlur(2)), noisy(picture, 8)):
            assert measure(version).flaw(ORIGINAL) == ""


def test_a_blank_original_makes_no_candidate_blank():
    blank = Image.new("RGB", (128, 128), "white")
    assert measure(blank).flaw(measure(blank)) == ""
    assert measure(blank).quality(measure(blank)) == 1
