"""Hashes equal imagehash's, for the picture and its mirror image, and texture says how reliable a hash is."""

import itertools

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import scene
from PIL import Image, ImageOps

from bootstrap.curation.duplicates import DOUBTFUL
from bootstrap.pictures import hashing


@given(number=st.integers(0, 10**6), size=st.sampled_from([33, 64, 128, 200, 256]))
@settings(max_examples=60, deadline=None)
def test_hashes_are_those_of_imagehash(number, size):
    picture = scene(number, size)
    fingerprint = hashing.fingerprint(picture)
    assert hashing.to_hex(fingerprint.image_hash) == str(imagehash.phash(picture))
    assert hashing.to_hex(fingerprint.image_hash_mirrored) == str(imagehash.phash(ImageOps.mirror(picture)))


@pytest.mark.parametrize("kind", ["dhash", "whash", "colorhash"])
def test_the_other_hashes_are_those_of_imagehash_too(kind):
    pictures = [scene(number, 100) for number in range(6)]
    make = getattr(imagehash, kind)
    for picture, fingerprint in zip(pictures, hashing.fingerprints(pictures, kind), strict=True):
        assert fingerprint.image_hash == int(str(make(picture)), 16)
        assert fingerprint.image_hash_mirrored == int(str(make(ImageOps.mirror(picture))), 16)


def test_many_pictures_are_hashed_as_one_by_one():
    pictures = [scene(number, size) for number, size in zip(range(20), itertools.cycle([128, 300, 128]))]
    for batched, single in zip(
        hashing.fingerprints(pictures), map(hashing.fingerprint, pictures), strict=True
    ):
        assert batched.image_hash == single.image_hash
        assert np.array_equal(batched.small, single.small)


def test_a_gray_picture_hashes_like_imagehash_too():
    picture = scene(3).convert("L")
    assert hashing.to_hex(hashing.fingerprint(picture).image_hash) == str(imagehash.phash(picture))


def test_the_mirror_is_another_hash():
    fingerprint = hashing.fingerprint(scene(7))
    assert (fingerprint.image_hash ^ fingerprint.image_hash_mirrored).bit_count() > 10


@given(st.integers(0, 2**64 - 1))
def test_hex_and_back(value):
    assert len(hashing.to_hex(value)) == 16
    assert hashing.from_hex(hashing.to_hex(value)) == value


def split() -> Image.Image:
    picture = Image.new("RGB", (128, 128), "white")
    picture.paste("black", (0, 0, 64, 128))
    return picture


def symmetric() -> Image.Image:
    picture = scene(11)
    picture.paste(ImageOps.mirror(picture.crop((0, 0, 64, 128))), (64, 0))
    return picture


@pytest.mark.parametrize("make", [lambda: Image.new("RGB", (128, 128), "red"), split, symmetric])
def test_flat_split_and_symmetric_pictures_have_doubtful_hashes(make):
    noise = np.random.default_rng(1).normal(0, 3, (128, 128, 3))
    noisy = Image.fromarray(np.clip(np.asarray(make()) + noise, 0, 255).astype(np.uint8))
    assert hashing.fingerprint(make()).texture < DOUBTFUL
    assert hashing.fingerprint(noisy).texture < DOUBTFUL


def test_scenes_have_hashes_to_rely_on():
    assert min(hashing.fingerprint(scene(number)).texture for number in range(50)) > DOUBTFUL


def test_the_small_copy_is_the_average_of_each_cell():
    small = hashing.small_copy(scene(5))
    assert small.shape == (32, 32, 3) and small.dtype == np.uint8
    means = np.asarray(scene(5), float).reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 1.0  # Pillow rounds after each of its two passes
