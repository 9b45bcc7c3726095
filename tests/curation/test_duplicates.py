"""Copies of a picture are duplicates; pictures with a small visible difference are not."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import scene
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from bootstrap.curation.duplicates import (
    DOUBTFUL,
    DOUBTFUL_TOO,
    Limits,
    Prints,
    hamming,
    look_alikes,
    pixel_difference,
    same_pixels,
)
from bootstrap.pictures.hashing import fingerprint
from bootstrap.project.settings import DedupeSection

DEFAULTS = Limits(DedupeSection().distance, DedupeSection().pixel_difference)


def find(pictures, first_new=0, limits=DEFAULTS, unreadable=()):
    prints = [fingerprint(picture) for picture in pictures]
    return look_alikes(
        Prints.of(prints), first_new, lambda i: None if i in unreadable else prints[i].small, limits
    )


def recompressed(picture, quality=60):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def noisy(picture, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, np.asarray(picture).shape)
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


def with_ball(picture, color, at=(70, 60), radius=8):
    """Return the picture with a ball of an eighth of its width and a hundredth of its area."""
    changed = picture.copy()
    x, y = at
    ImageDraw.Draw(changed).ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    return changed


SAME = {
    "itself": lambda picture: picture,
    "recompressed": recompressed,
    "smaller and back": lambda picture: picture.resize((96, 96)).resize((128, 128)),
    "noise": lambda picture: noisy(picture, 4),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.05),
    "much brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.2),
    "much darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.8),
    "of less contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.8),
    "mirrored": ImageOps.mirror,
    "cropped by 1 %": lambda picture: picture.crop((1, 1, 127, 127)).resize((128, 128)),
    "mirrored and recompressed": lambda picture: recompressed(ImageOps.mirror(picture)),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_the_same_picture_is_found_again(change):
    missed = [number for number in range(40) if find([scene(number), change(scene(number))]) != {1: 0}]
    assert missed == []


@pytest.mark.parametrize("box", [(3, 2, 126, 126), (3, 3, 125, 125), (0, 0, 125, 128)])
def test_pixels_tell_the_same_picture_cropped_by_a_few_hundredths(box):
    pairs = [(scene(number), scene(number).crop(box).resize((128, 128))) for number in range(25)]
    smalls = [(fingerprint(whole).small, fingerprint(cropped).small) for whole, cropped in pairs]
    assert all(same_pixels(whole, cropped, DEFAULTS.pixel_difference) for whole, cropped in smalls)
    assert all(same_pixels(cropped, whole, DEFAULTS.pixel_difference) for whole, cropped in smalls)


def test_a_brighter_wall_is_another_wall():
    """A picture that is brighter in one place only is not just another exposure."""
    plain = scene(9)
    brighter = Image.eval(plain.crop((0, 0, 128, 40)), lambda value: min(255, value + 40))
    changed = plain.copy()
    changed.paste(brighter, (0, 0))
    assert find([plain, changed]) == {}


def test_other_pictures_are_others():
    assert find([scene(number) for number in range(60)]) == {}


@pytest.mark.parametrize("number", range(8))
def test_a_small_thing_gone_or_of_another_color_makes_another_picture(number):
    plain = noisy(scene(number), 3, seed=number)
    at, color = (70, 60), np.asarray(plain)[60, 70]
    contrasting = tuple(int(255 - value) if abs(2 * value - 255) > 120 else 0 for value in color.astype(int))
    apple = with_ball(plain, contrasting, at)
    other_apple = with_ball(plain, contrasting[::-1], at)
    far_enough = np.abs(np.subtract(contrasting, contrasting[::-1])).max() > 100
    pictures = [plain, apple, other_apple] if far_enough else [plain, apple]
    assert find(pictures) == {}


def test_gray_hashes_alone_would_confuse_colors():
    """A red and a green ball of the same gray: only the pixels tell them apart."""
    plain = scene(4)
    red, green = with_ball(plain, (200, 0, 0)), with_ball(plain, (0, 102, 0))
    assert (fingerprint(red).image_hash ^ fingerprint(green).image_hash).bit_count() <= 2
    assert find([red, green]) == {}


def test_flat_pictures_collide_only_in_the_same_color():
    colors = ["red", "lime", "blue", "white", "black", "#800000"]
    flat = [Image.new("RGB", (128, 128), color) for color in colors]
    assert len({fingerprint(picture).image_hash for picture in flat}) < len(
        flat
    )  # the hash cannot tell them apart
    assert find(flat) == {}
    assert find([*flat, noisy(flat[1], 3)]) == {6: 1}


def test_split_pictures_with_different_details_are_different():
    pictures = []
    for number in range(8):
        picture = Image.new("RGB", (128, 128), "white")
        picture.paste("black", (0, 0, 64, 128))
        pictures.append(with_ball(picture, "red", at=(80 + 5 * (number % 4), 30 + 50 * (number // 4))))
    assert find(pictures) == {}
    assert find([pictures[0], noisy(pictures[0], 3)]) == {1: 0}


def test_dark_pictures_with_different_details_are_different():
    dark = [Image.eval(scene(number), lambda value: value // 12) for number in range(20)]
    assert find(dark) == {}
    apple = Image.eval(with_ball(scene(0), "red"), lambda value: value // 12)
    assert find([dark[0], apple]) == {}
    assert find([dark[0], dark[0]]) == {1: 0}


def test_a_symmetric_picture_is_found_though_its_hash_is_chance():
    picture = scene(11)
    picture.paste(ImageOps.mirror(picture.crop((0, 0, 64, 128))), (64, 0))
    again = noisy(picture, 3)
    assert (fingerprint(picture).image_hash ^ fingerprint(again).image_hash).bit_count() > DEFAULTS.distance
    assert find([picture, again]) == {1: 0}


def test_the_first_of_a_group_stays_and_chains_do_not_drag():
    steps = [Image.blend(scene(2), scene(12), 0.07 * step) for step in range(6)]
    assert pixel_difference(fingerprint(steps[0]).small, fingerprint(steps[5]).small) > 0.11
    duplicate_of = find(steps)
    assert 1 in duplicate_of and duplicate_of[1] == 0
    assert (
        5 not in duplicate_of or duplicate_of[5] != 0
    )  # not the same as the first, though each step is small
    assert not set(duplicate_of.values()) & set(duplicate_of)  # nothing is a duplicate of a duplicate


def test_what_was_there_before_is_not_questioned():
    pictures = [scene(1), scene(1), scene(2), scene(1)]
    assert find(pictures, first_new=2) == {3: 0}


def test_nothing_is_a_duplicate_of_what_cannot_be_read():
    assert find([scene(1), scene(1)], first_new=1, unreadable={0}) == {}
    assert find([scene(1), scene(1), scene(1)], first_new=2, unreadable={0}) == {2: 1}


def test_limits_are_obeyed():
    pictures = [scene(3), noisy(recompressed(scene(3), 30), 8)]
    assert find(pictures, limits=Limits(64, 1.0)) == {1: 0}
    assert find(pictures, limits=Limits(64, 0.0)) == {}
    assert find([scene(3), scene(4)], limits=Limits(0, 1.0)) == {}


def plainly(prints, first_new, limits):
    """Return what look_alikes must return, computed as simply as possible."""
    duplicate_of = {}
    for new in range(first_new, len(prints)):
        for old in range(new):
            later, earlier = prints[new], prints[old]
            doubtful = (
                min(later.texture, earlier.texture) < DOUBTFUL
                and max(later.texture, earlier.texture) < DOUBTFUL_TOO
            )
            for phash, small in (
                (later.image_hash, later.small),
                (later.image_hash_mirrored, later.small[:, ::-1]),
            ):
                near = (phash ^ earlier.image_hash).bit_count() <= limits.distance or doubtful
                if (
                    old not in duplicate_of
                    and near
                    and same_pixels(small, earlier.small, limits.pixel_difference)
                ):
                    duplicate_of.setdefault(new, old)
    return duplicate_of


def any_change(picture, change):
    """Change a picture in one of the many ways in which candidates may resemble each other."""
    changes = [
        *SAME.values(),
        lambda image: with_ball(image, "red"),
        lambda image: Image.eval(image, lambda value: value // 12),
        lambda image: Image.new("RGB", image.size, image.getpixel((3, 3))),
    ]
    return changes[change](picture)


@given(
    drawn=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=14
    ),
    first_new=st.integers(0, 5),
    limits=st.builds(Limits, st.sampled_from([0, 3, 8, 20, 64]), st.sampled_from([0.0, 0.05, 0.1, 0.3, 1.0])),
)
@settings(max_examples=20, deadline=None)
def test_the_quick_way_finds_what_the_plain_way_finds(drawn, first_new, limits):
    prints = [
        fingerprint(any_change(any_change(scene(number), first_change), second_change))
        for number, first_change, second_change in drawn
    ]
    all_prints = Prints.of(prints)
    duplicate_of = look_alikes(all_prints, first_new, lambda i: prints[i].small, limits)
    assert duplicate_of == plainly(prints, first_new, limits)


def test_pairs_that_are_kept_apart_are_no_duplicates():
    prints = [fingerprint(scene(number)) for number in (1, 1, 1)]
    duplicate_of = look_alikes(
        Prints.of(prints), 0, lambda i: prints[i].small, DEFAULTS, apart={(1, 0), (2, 0)}
    )
    assert duplicate_of == {2: 1}


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_hamming_counts_bits(one, others):
    found = hamming(np.uint64(one), np.array(others, dtype=np.uint64))
    assert found.tolist() == [(one ^ other).bit_count() for other in others]


@given(st.integers(0, 1000), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_pixel_difference_is_a_distance(one, other):
    first_small, second_small = fingerprint(scene(one)).small, fingerprint(scene(other)).small
    assert pixel_difference(first_small, first_small) == 0
    assert pixel_difference(first_small, second_small) == pixel_difference(second_small, first_small) <= 1
    assert pixel_difference(first_small[:, ::-1], second_small[:, ::-1]) == pytest.approx(
        pixel_difference(first_small, second_small)
    )
