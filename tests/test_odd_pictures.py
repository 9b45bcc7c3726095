"""Pictures as cameras, scanners and editors write them: turned by EXIF, deep, in fractions, with several frames."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from bootstrap import images
from bootstrap.errors import UserError

Entry = tuple[int, int, int, bytes]  # tag, type, count, value of at most four bytes
TURNED: Entry = (0x0112, 3, 1, struct.pack("<H", 6))


def exif(*entries: Entry, order: str = "<") -> bytes:
    """An EXIF block with these tags, written by hand, because no library writes malformed ones."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    tags = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries)
    return b"Exif\0\0" + head + struct.pack(order + "H", len(entries)) + tags + bytes(4)


MALFORMED: dict[str, list[Entry]] = {
    "a unit that is a text": [TURNED, (0x0128, 2, 4, b"abc\0")],
    "a maker that is a number": [TURNED, (0x010F, 10, 1, struct.pack("<I", 8))],
    "a resolution that is a text": [TURNED, (0x011A, 2, 4, b"72\0\0"), (0x0128, 3, 1, struct.pack("<H", 2))],
    "a resolution that is bytes": [TURNED, (0x011A, 7, 4, b"72\0\0"), (0x0128, 3, 1, struct.pack("<H", 2))],
    "a resolution of zeros": [TURNED, (0x011A, 5, 1, struct.pack("<I", 2)), (0x0128, 3, 1, b"\2\0")],
    "an inner directory that is a text": [TURNED, (0x8769, 2, 4, b"abc\0")],
    "an inner directory that is the outer one": [TURNED, (0x8769, 4, 1, struct.pack("<I", 8))],
    "an inner directory out of reach": [TURNED, (0x8825, 4, 1, struct.pack("<I", 99999))],
    "a value out of reach": [TURNED, (0x010E, 7, 10**9, struct.pack("<I", 8))],
    "a type that is none": [TURNED, (0x9286, 0, 5, b"abcd")],
}


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("tags", MALFORMED.values(), ids=MALFORMED)
def test_a_photo_is_turned_though_another_tag_is_malformed(
    tmp_path: Path, form: str, tags: list[Entry]
) -> None:
    path = tmp_path / "photo"
    if form == "AVIF":  # its writer reads the tags
        Image.new("RGB", (96, 64), "red").save(path, form, exif=exif(TURNED))
    else:
        Image.new("RGB", (96, 64), "red").save(path, form, exif=exif(*tags))
    assert images.open_picture(path).size == images.size_of(path) == (64, 96)


@pytest.mark.parametrize("value", [b"6\0", b"\x63\0", b"\0\0", b"\xff\xff"])
@pytest.mark.parametrize("kind", [2, 3, 7])
def test_an_orientation_that_is_none_turns_nothing(tmp_path: Path, kind: int, value: bytes) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (96, 64), "red").save(path, exif=exif((0x0112, kind, 1 if kind == 3 else 2, value)))
    assert images.open_picture(path).size == images.size_of(path) == (96, 64)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG", "TIFF"])
def test_each_orientation_is_applied_to_pixels_and_size(tmp_path: Path, form: str, orientation: int) -> None:
    upright = Image.new("RGB", (48, 80), "white")
    upright.paste("red", (0, 0, 24, 40))  # the left upper quarter
    # What turns it back: the inverse of what EXIF 2.32 says for this orientation.
    stored = {
        1: upright, 2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180), 4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE), 6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE), 8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]  # fmt: skip
    tags = Image.Exif()
    tags[0x0112] = orientation
    stored.save(tmp_path / "photo", form, exif=tags, quality=95)
    opened = images.open_picture(tmp_path / "photo")
    assert opened.size == images.size_of(tmp_path / "photo") == (48, 80)
    assert opened.getpixel((8, 8))[1] < 90 and min(opened.getpixel((40, 72))) > 200
    opened.save(tmp_path / "copy.png")
    assert images.size_of(tmp_path / "copy.png") == (48, 80)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk_at_the_end(path: Path, kind: bytes, content: bytes) -> None:
    """Put a chunk behind a PNG's pixels, where some editors write it."""
    content_of_file = path.read_bytes()
    path.write_bytes(content_of_file[:-12] + chunk(kind, content) + content_of_file[-12:])


def test_exif_behind_the_pixels_of_a_png_turns_it(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (96, 64)).save(path)
    with_chunk_at_the_end(path, b"eXIf", exif(TURNED)[6:])
    assert images.size_of(path) == images.open_picture(path).size == (64, 96)


def test_xmp_turns_a_picture(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    Image.new("RGB", (96, 64)).save(tmp_path / "photo.webp", xmp=xmp)
    assert (
        images.size_of(tmp_path / "photo.webp")
        == images.open_picture(tmp_path / "photo.webp").size
        == (64, 96)
    )


GRADIENT = np.tile(np.linspace(0, 1, 64), (40, 1))


def deep(path: Path, values: np.ndarray, **tags: Any) -> np.ndarray:
    """Write a gray picture, and return the first row as it is opened."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[{"photometric": 262}[name]] = value
    Image.fromarray(values).save(path, tiffinfo=info) if tags else Image.fromarray(values).save(path)
    return np.asarray(images.open_picture(path))[0, :, 0].astype(int)


def test_a_tiff_of_fractions_from_0_to_1_keeps_its_grays(tmp_path: Path) -> None:
    row = deep(tmp_path / "a.tif", GRADIENT.astype(np.float32))
    assert np.abs(row - np.linspace(0, 255, 64)).max() <= 1


@pytest.mark.parametrize("values", [GRADIENT * 255, GRADIENT - 0.5, GRADIENT * np.nan, GRADIENT * 1.5])
def test_a_tiff_of_other_fractions_is_refused(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"pixels are fractions that go beyond 0 to 1; .* 8 or 16 bits"):
        deep(tmp_path / "a.tif", values.astype(np.float32))


@pytest.mark.parametrize("most", [255, 65535, 2**31 - 1])
def test_a_tiff_of_32_bit_integers_is_refused(tmp_path: Path, most: int) -> None:
    with pytest.raises(UserError, match=r"integers of 32 bits or with a sign; .* 8 or 16 bits"):
        deep(tmp_path / "a.tif", (GRADIENT * most).astype(np.int32))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_16_bits_keeps_its_grays(tmp_path: Path, order: str) -> None:
    """Written by hand: Pillow writes in the machine's byte order, and white as the largest value."""
    pixels = (GRADIENT * 65535).astype(order + "u2").tobytes()
    for photometric, expected in ((1, np.linspace(0, 255, 64)), (0, np.linspace(255, 0, 64))):
        entries = [
            (256, 64),
            (257, 40),
            (258, 16),
            (259, 1),
            (262, photometric),
            (273, 8),
            (277, 1),
            (278, 40),
        ]
        tags = b"".join(
            struct.pack(order + "HHIHH", tag, 3, 1, value, 0) for tag, value in entries
        ) + struct.pack(order + "HHII", 279, 4, 1, len(pixels))
        head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(pixels))
        (tmp_path / "a.tif").write_bytes(
            head + pixels + struct.pack(order + "H", len(entries) + 1) + tags + bytes(4)
        )
        if order == ">" and photometric == 0:  # Pillow does not know this kind
            with pytest.raises(UserError, match="a TIFF of a kind that is not read"):
                images.open_picture(tmp_path / "a.tif")
            continue
        row = np.asarray(images.open_picture(tmp_path / "a.tif"))[0, :, 0].astype(int)
        assert np.abs(row - expected).max() <= 1


def test_a_tiff_of_coloured_fractions_is_refused_by_its_kind(tmp_path: Path) -> None:
    entries = [
        (256, 3, 40),
        (257, 3, 40),
        (258, 3, 32),
        (259, 3, 1),
        (262, 3, 2),
        (273, 4, 8),
        (277, 3, 3),
        (339, 3, 3),
    ]
    tags = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + bytes(4))
    with pytest.raises(UserError, match="a TIFF of a kind that is not read, such as colours as fractions"):
        images.open_picture(tmp_path / "a.tif")


def test_gray_of_16_bits_with_a_transparent_value_shows_white(tmp_path: Path) -> None:
    levels = np.full((40, 64), 20_000, np.uint16)
    levels[:, :32] = 1000
    Image.fromarray(levels).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    after_header = content.index(b"IDAT") - 4
    transparent = chunk(b"tRNS", struct.pack(">H", 1000))
    (tmp_path / "a.png").write_bytes(content[:after_header] + transparent + content[after_header:])
    opened = images.open_picture(tmp_path / "a.png")
    assert opened.getpixel((5, 5)) == (255, 255, 255) and opened.getpixel((60, 5)) == (78, 78, 78)


def as_palette(picture: Image.Image) -> Image.Image:
    return picture.convert("P", palette=Image.Palette.ADAPTIVE)


KINDS: dict[str, tuple[Callable[[Image.Image], Image.Image], str]] = {
    "CMYK JPEG": (lambda picture: picture.convert("CMYK"), "JPEG"),
    "CMYK TIFF": (lambda picture: picture.convert("CMYK"), "TIFF"),
    "palette": (as_palette, "PNG"),
    "one bit": (lambda picture: picture.convert("1"), "PNG"),
    "gray with alpha": (lambda picture: picture.convert("LA"), "PNG"),
    "Lab": (lambda picture: picture.convert("LAB"), "TIFF"),
    "YCbCr": (lambda picture: picture.convert("YCbCr"), "TIFF"),
}


@pytest.mark.parametrize(("change", "form"), KINDS.values(), ids=KINDS)
def test_each_kind_of_colours_opens_as_what_it_shows(
    tmp_path: Path, change: Callable[[Image.Image], Image.Image], form: str
) -> None:
    shown = Image.new("RGB", (64, 64), "white")
    shown.paste((0, 0, 0), (0, 0, 32, 64))
    change(shown).save(tmp_path / "a", form)
    opened = images.open_picture(tmp_path / "a")
    assert opened.mode == "RGB"
    assert max(opened.getpixel((8, 32))) < 12 and min(opened.getpixel((56, 32))) > 243


def test_a_palette_with_degrees_of_transparency_lies_on_white(tmp_path: Path) -> None:
    picture = Image.new("P", (64, 64), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.paste(1, (32, 0, 64, 64))
    picture.save(tmp_path / "a.png", transparency=bytes([0, 128]))
    opened = images.open_picture(tmp_path / "a.png")
    assert opened.getpixel((5, 5)) == (255, 255, 255)
    assert np.abs(np.subtract(opened.getpixel((60, 5)), (127, 127, 255))).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_colours_that_are_multiplied_with_alpha_lie_on_white(tmp_path: Path, mode: str) -> None:
    half = (64, 128) if mode == "LA" else (64, 64, 64, 128)  # 128 at half opacity
    Image.new(mode, (64, 64), half).save(tmp_path / "a.tif")
    content = (tmp_path / "a.tif").read_bytes()
    unassociated = struct.pack("<HHIH", 338, 3, 1, 2)  # TIFF 6.0, ExtraSamples; Pillow writes only this kind
    assert content.count(unassociated) == 1
    (tmp_path / "a.tif").write_bytes(content.replace(unassociated, struct.pack("<HHIH", 338, 3, 1, 1)))
    assert (
        np.abs(np.subtract(images.open_picture(tmp_path / "a.tif").getpixel((5, 5)), (191,) * 3)).max() <= 1
    )


def animation(form: str, frames: int) -> bytes:
    buffer, shades = io.BytesIO(), [Image.new("RGB", (64, 64), (40 * frame, 0, 0)) for frame in range(frames)]
    shades[0].save(buffer, form, save_all=True, append_images=shades[1:])
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF", "MPO"])
def test_several_frames_are_known(tmp_path: Path, form: str) -> None:
    for frames in (1, 3):
        (tmp_path / "a").write_bytes(animation(form, frames))
        is_phones = form == "MPO"  # a photo with its preview
        assert images.has_more_frames(tmp_path / "a") == (frames > 1 and not is_phones)
        assert max(images.open_picture(tmp_path / "a").getpixel((5, 5))) <= 3
