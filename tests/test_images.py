"""Pictures from outside are opened safely, and a bad one is refused before its pixels are decoded."""

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import png, scene
from PIL import Image, ImageCms

from bootstrap import images, shot_limits
from bootstrap.drawing import infotext, sheet_file
from bootstrap.errors import UserError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "picture.png"


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tiff", "gif"])
def test_common_formats_open_as_rgb(tmp_path, ending):
    path = tmp_path / f"picture.{ending}"
    scene(1).save(path)
    picture = images.open_picture(path)
    assert (picture.mode, picture.size) == ("RGB", (128, 128))


def test_transparent_areas_become_white(path):
    picture = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 32, 64))
    picture.save(path)
    opened = images.open_picture(path)
    assert opened.getpixel((10, 10)) == (0, 0, 255)
    assert opened.getpixel((50, 10)) == (255, 255, 255)


def test_a_palette_with_transparency_shows_white_too(path):
    picture = Image.new("P", (64, 64), 1)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.save(path, transparency=1)
    assert images.open_picture(path).getpixel((5, 5)) == (255, 255, 255)


def test_gray_and_deep_pictures_become_rgb(path):
    Image.new("L", (64, 64), 128).save(path)
    assert images.open_picture(path).getpixel((5, 5)) == (128, 128, 128)


def test_gray_of_16_bits_keeps_its_levels(tmp_path):
    levels = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (40, 1))
    for name in ("deep.png", "deep.tif"):
        Image.fromarray(levels).save(tmp_path / name)
        gray = np.asarray(images.open_picture(tmp_path / name))[0, :, 0]
        assert np.abs(gray - np.linspace(0, 255, 64)).max() <= 1


def test_the_colours_of_a_profile_are_made_srgb_and_the_profile_is_left_behind(path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # A profile with sRGB's red and green swapped.
    swapped = srgb.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")
    for profile, expected in (
        (srgb, (200, 100, 50)),
        (swapped, (100, 200, 50)),
        (b"no profile", (200, 100, 50)),
    ):
        Image.new("RGB", (64, 64), (200, 100, 50)).save(path, icc_profile=profile)
        opened = images.open_picture(path)
        assert "icc_profile" not in opened.info
        assert max(abs(a - b) for a, b in zip(opened.getpixel((5, 5)), expected, strict=True)) <= 2


def test_a_photo_held_sideways_is_turned_upright(tmp_path):
    path = tmp_path / "photo.jpg"
    picture = Image.new("RGB", (64, 40), "white")
    picture.paste("red", (0, 0, 32, 40))  # the left half
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it 90 degrees clockwise: left becomes top
    picture.save(path, exif=exif, quality=95)
    opened = images.open_picture(path)
    assert opened.size == (40, 64)
    red, _, blue = opened.getpixel((20, 5))
    assert red > 200 and blue < 60
    assert min(opened.getpixel((20, 60))) > 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "the file is empty"),
        (b"hello", "not a picture in a known format"),
        (b"\x89PNG\r\n\x1a\n", "not a picture|damaged"),
        (b"GIF89a", "not a picture|damaged"),
    ],
)
def test_what_is_not_a_picture_is_refused(path, content, message):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        images.open_picture(path)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_picture_is_refused_or_opened_but_never_a_crash(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.png"
    scene(1).save(whole)
    content = bytearray(whole.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(1, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    broken = folder / "broken.png"
    broken.write_bytes(content)
    try:
        assert images.open_picture(broken).mode == "RGB"
    except UserError as error:
        assert str(broken) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (12_000, 9_000), (100_000, 700)])
def test_a_bomb_is_refused_without_decoding_it(path, width, height):
    path.write_bytes(png(width, height, rows=100))
    tracemalloc.start()
    with pytest.raises(UserError, match="64,000,000 pixels, scale it down"):
        images.open_picture(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_png_whose_part_claims_2_gib_takes_no_memory(path):
    whole = png(128, 128, rows=128)
    place = whole.index(b"IDAT") - 4
    path.write_bytes(whole[:place] + struct.pack(">I", 2**31 - 1) + whole[place + 4 :])
    for read in (images.open_picture, infotext.shot_of, infotext.text_of):
        with pytest.raises(UserError, match="the file is damaged"):
            read(path)


@pytest.mark.parametrize(("width", "height"), [(31, 100), (100, 31), (1, 1)])
def test_a_tiny_picture_is_refused(path, width, height):
    path.write_bytes(png(width, height, rows=height))
    with pytest.raises(UserError, match=rf"{width}x{height} is too small, each side needs 32"):
        images.open_picture(path)


def test_the_smallest_picture_opens(path):
    path.write_bytes(png(32, 32, rows=32))
    assert images.open_picture(path).size == (32, 32)


@given(st.tuples(*[st.integers(32, 300)] * 4))
@settings(max_examples=30, deadline=None)
def test_fit_covers_the_requested_size_with_the_middle_of_the_picture(sizes):
    width, height, new_width, new_height = sizes
    picture = Image.new("RGB", (width, height), "white")
    picture.paste("red", (width // 2 - 8, height // 2 - 8, width // 2 + 8, height // 2 + 8))
    fitted = images.fit(picture, new_width, new_height)
    assert fitted.size == (new_width, new_height)
    red, green, _ = fitted.getpixel((new_width // 2, new_height // 2))
    assert red > 200 and green < 120


def test_fit_leaves_a_picture_that_fits_alone():
    picture = scene(2)
    assert images.fit(picture, 128, 128) is picture


@pytest.mark.parametrize("size", [(9000, 9000), (100_000, 100_000)])
def test_a_bomb_is_refused_by_each_function_that_opens_pictures(path, size):
    path.write_bytes(png(*size, rows=1))
    for read in (images.open_picture, images.size_of, infotext.shot_of, infotext.text_of):
        with pytest.raises(UserError, match="more than 64,000,000 pixels"):
            read(path)
    assert sheet_file.read(None, path) is None
    assert images.MAX_PIXELS == shot_limits.MOST_PIXELS


def test_a_malformed_exif_is_read_without_a_word(path, recwarn):
    entries = [struct.pack("<HHII", tag, 2, 10**9, 8) for tag in range(1000, 1100)]
    exif = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    Image.new("RGB", (64, 64)).save(path, exif=exif)
    assert images.open_picture(path).size == (64, 64) and infotext.text_of(path) is None
    assert not recwarn.list


def test_only_the_first_of_many_frames_is_read(tmp_path):
    frames = [Image.new("RGB", (64, 64), (shade, 0, 0)) for shade in range(0, 250, 5)]
    frames[0].save(tmp_path / "many.gif", save_all=True, append_images=frames[1:])
    assert images.open_picture(tmp_path / "many.gif").getpixel((0, 0)) == (0, 0, 0)
