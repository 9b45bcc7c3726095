"""Safe opening of pictures from outside."""

import io
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from bootstrap import reading
from bootstrap.errors import UserError

MAX_PIXELS = 64_000_000  # an 8000x8000 picture; more is a mistake or a decompression bomb
MIN_SIDE = 32
_MOST_MISSING = 64_000_000  # bytes that a PNG's part may claim beyond the end of the file
_AS_8_BITS = "nobody can tell which value is white, so save it with 8 or 16 bits for each colour"
# Only these: some of Pillow's dozens of decoders start programs (EPS), and pictures may come from a browser.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION, _BITS_PER_SAMPLE, _PHOTOMETRIC = 0x0112, 258, 262  # tags of EXIF and TIFF
# EXIF 2.32, tag Orientation: how the stored pixels have to be turned.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises on EXIF data that is malformed, besides OSError, SyntaxError and ValueError.
EXIF_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, OSError, SyntaxError, TypeError, ValueError,
    struct.error,
)  # fmt: skip


@contextmanager
def opened(path: Path, least_side: int = 1) -> Iterator[Image.Image]:
    """Yield a picture file as Pillow opens it; nothing is decoded before its size has been checked.

    Args:
        least_side: the least width and height, in pixels.

    Raises:
        UserError: see open_picture; also for what the block meets while it decodes the picture or its tags.
    """
    reading.require_file(path, f"picture {path}")
    if path.stat().st_size == 0:
        raise UserError(f"picture {path}: the file is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            # Our own limit is below Pillow's; of a malformed EXIF it warns once for each of its tags.
            warnings.simplefilter("ignore")
            with bounded(path) as file, Image.open(file, formats=FORMATS) as picture:
                _check_size(path, picture, least_side)
                if picture.format == "PNG":
                    _check_chunks(path)
                yield picture
    except Image.DecompressionBombError:
        raise UserError(
            f"picture {path}: it has far more than {MAX_PIXELS:,} pixels, scale it down"
        ) from None
    except UnidentifiedImageError:
        raise UserError(f"picture {path}: {_unidentified(path)}") from None
    except (OSError, SyntaxError, ValueError, struct.error) as error:  # Pillow's decoders, on damaged files
        raise UserError(f"picture {path}: the file is damaged ({error})") from None


class _Bounded(io.BufferedReader):
    """A file that gives no more room to a read than it has bytes left.

    A part of a picture that claims gigabytes would take that much memory before anybody sees that they are not there.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._length = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes, all that are left without one."""
        if size is not None and size > 0:
            size = min(size, max(0, self._length - self.tell()))
        return super().read(size)


def bounded(path: Path) -> io.BufferedReader:
    """Open a picture file for Pillow, which believes what the file says about its own parts."""
    return _Bounded(path)


def _unidentified(path: Path) -> str:
    with path.open("rb") as file:
        mark = file.read(4)
    if mark in _TIFF_MARKS:
        return "a TIFF of a kind that is not read, such as colours as fractions, or damaged; save it as PNG"
    return "not a picture in a known format (use PNG, JPEG or WebP)"


def size_of(path: Path) -> tuple[int, int]:
    """Return the width and height of a picture file as it is opened, upright, in pixels, without decoding it.

    Raises:
        UserError: see open_picture.
    """
    with opened(path, MIN_SIDE) as picture:
        width, height = picture.size
        if picture.format == "PNG" and width != height and _has_more_behind_its_pixels(path):
            picture.load()
        turned = _orientation(picture) >= 5
    return (height, width) if turned else (width, height)


def open_picture(path: Path) -> Image.Image:
    """Decode a picture file into an upright RGB image: EXIF orientation applied, transparency on white.

    Colours are converted from the file's colour profile to sRGB, and the profile is dropped. Of an animation the first
    frame is decoded.

    Raises:
        UserError: the file is missing, empty, not a picture, damaged, smaller than MIN_SIDE or larger than MAX_PIXELS
            (the size is checked before any pixel is decoded); or nobody can tell which of its values are white.
    """
    with opened(path, MIN_SIDE) as picture:
        picture.load()  # first: a PNG's EXIF may follow its pixels
        orientation = _orientation(picture)
        in_colour = on_white(_in_srgb(_in_8_bits(path, picture)))
    for key in ("exif", "xmp", "XML:com.adobe.xmp"):  # they would turn it again
        in_colour.info.pop(key, None)
    return in_colour.transpose(_TURNS[orientation]) if orientation in _TURNS else in_colour


def has_more_frames(path: Path) -> bool:
    """Return whether a picture file is an animation, or has several pages: only the first one is ever opened.

    Raises:
        UserError: see open_picture.
    """
    with opened(path, MIN_SIDE) as picture:
        # A phone's JPEG with a second picture, such as a preview, is an MPO.
        return picture.format != "MPO" and bool(getattr(picture, "is_animated", False))


def _orientation(picture: Image.Image) -> int:
    """Return how EXIF or XMP say that a picture has to be turned, 1 to 8; 1 if they do not, or are malformed."""
    if picture.format == "TIFF":
        return 1  # Pillow has applied it, to the size as well
    try:
        # Of the base class, because a PNG's own decodes the pixels if there is no EXIF before them.
        orientation = Image.Image.getexif(picture).get(_ORIENTATION, 1)
    except EXIF_ERRORS:
        return 1
    return int(orientation) if orientation in _TURNS else 1


def _chunks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the kind of each of a PNG's chunks, and how many bytes it claims beyond the end of the file.

    Format: PNG specification, third edition, 5.3: length, type, data and checksum.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            end = file.tell() + int.from_bytes(head[:4], "big") + 4
            yield head[4:], max(0, end - size)
            if head[4:] == b"IEND" or end >= size:
                return
            file.seek(end)


def _has_more_behind_its_pixels(path: Path) -> bool:
    """Return whether a PNG has text or EXIF after its pixels, as some editors write it."""
    kinds = [kind for kind, _ in _chunks(path)]
    pixels = kinds.index(b"IDAT") if b"IDAT" in kinds else len(kinds)
    return any(kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt") for kind in kinds[pixels:])


def _in_8_bits(path: Path, picture: Image.Image) -> Image.Image:
    """Return a gray picture of 12 or 16 bits, or of fractions from 0 to 1, as one of 8 bits.

    Pillow would clip all values above 255.

    Raises:
        UserError: its values are other fractions, or integers of 32 bits or with a sign, of which nobody can tell
            which is white.
    """
    import numpy as np  # takes a tenth of a second, which `sid status` need not wait for

    if picture.mode.startswith("I;16"):
        values = np.asarray(picture)
        bits = _tiff_number(picture, _BITS_PER_SAMPLE, 16)
        gray = (values >> (bits - 8)).clip(0, 255)
    elif picture.mode == "F":
        values = np.asarray(picture)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise UserError(f"picture {path}: its pixels are fractions that go beyond 0 to 1; {_AS_8_BITS}")
        gray = np.rint(values * 255)
    elif picture.mode == "I":
        raise UserError(f"picture {path}: its pixels are integers of 32 bits or with a sign; {_AS_8_BITS}")
    else:
        return picture
    if _tiff_number(picture, _PHOTOMETRIC, 1) == 0:  # white is 0, which Pillow leaves so
        gray = 255 - gray
    eight_bits = Image.fromarray(gray.astype(np.uint8))
    transparent = picture.info.get("transparency")  # one of the values
    if transparent is not None:
        eight_bits.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    if "icc_profile" in picture.info:
        eight_bits.info["icc_profile"] = picture.info["icc_profile"]
    return eight_bits


def _tiff_number(picture: Image.Image, tag: int, default: int) -> int:
    value = getattr(picture, "tag_v2", {}).get(tag, default)
    return int(value[0] if isinstance(value, tuple) else value)


def _in_srgb(picture: Image.Image) -> Image.Image:
    """Return the picture converted to sRGB, or unchanged without a usable colour profile."""
    profile = picture.info.pop("icc_profile", None)
    if profile and picture.mode == "P":
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    if not profile or picture.mode not in ("RGB", "CMYK", "L", "RGBA"):
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(
            picture, source, ImageCms.createProfile("sRGB"), outputMode=mode
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture  # a broken profile, or one for another mode, is ignored
    if converted is None:
        return picture
    converted.info.pop("icc_profile", None)
    return converted


def _check_chunks(path: Path) -> None:
    """Refuse a PNG with a part far beyond its end: Pillow takes the memory for it, whatever there is to read."""
    if any(missing > _MOST_MISSING for _, missing in _chunks(path)):
        raise UserError(f"picture {path}: the file is damaged (a part of it claims more than the file has)")


def _check_size(path: Path, picture: Image.Image, least_side: int) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UserError(f"picture {path}: {width}x{height} is more than {MAX_PIXELS:,} pixels, scale it down")
    if min(width, height) < least_side:
        raise UserError(
            f"picture {path}: {width}x{height} is too small, each side needs {least_side} or more"
        )


def on_white(picture: Image.Image) -> Image.Image:
    """Return the picture as RGB, with transparent areas on white."""
    if picture.mode in ("La", "RGBa"):  # colours that are multiplied with alpha
        picture = picture.convert("LA" if picture.mode == "La" else "RGBA")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scale a picture to cover width x height pixels, and crop the excess equally on both sides."""
    if picture.size == (width, height):
        return picture
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
