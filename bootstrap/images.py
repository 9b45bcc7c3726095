"""Safe opening of pictures from outside."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from bootstrap import reading
from bootstrap.errors import UserError

MAX_PIXELS = 64_000_000  # an 8000x8000 picture; more is a mistake or a decompression bomb
MIN_SIDE = 32
# Only these: some of Pillow's dozens of decoders start programs (EPS), and pictures may come from a browser.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")


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
                yield picture
    except Image.DecompressionBombError:
        raise UserError(
            f"picture {path}: it has far more than {MAX_PIXELS:,} pixels, scale it down"
        ) from None
    except UnidentifiedImageError:
        raise UserError(f"picture {path}: not a picture in a known format (use PNG, JPEG or WebP)") from None
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's decoders raise these on damaged files
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


def size_of(path: Path) -> tuple[int, int]:
    """Return the width and height of a picture file, in pixels, without decoding it.

    Raises:
        UserError: see open_picture.
    """
    with opened(path, MIN_SIDE) as picture:
        return picture.size


def open_picture(path: Path) -> Image.Image:
    """Decode a picture file into an upright RGB image: EXIF orientation applied, transparency on white.

    Colours are converted from the file's colour profile to sRGB, and the profile is dropped.

    Raises:
        UserError: the file is missing, empty, not a picture, damaged, smaller than MIN_SIDE or larger than MAX_PIXELS;
            the size is checked before any pixel is decoded.
    """
    with opened(path, MIN_SIDE) as picture:
        upright = ImageOps.exif_transpose(picture)
        upright.load()
    return on_white(_in_srgb(_in_8_bits(upright)))


def _in_8_bits(picture: Image.Image) -> Image.Image:
    """Return a 16-bit gray picture as 8-bit; Pillow would clip all values above 255."""
    if not picture.mode.startswith("I"):
        return picture
    import numpy as np  # takes a tenth of a second, which `sid status` need not wait for

    levels = np.asarray(picture).astype(np.int64).clip(0, 65535)
    return Image.fromarray((levels >> 8).astype(np.uint8))


def _in_srgb(picture: Image.Image) -> Image.Image:
    """Return the picture converted to sRGB, or unchanged without a usable colour profile."""
    profile = picture.info.pop("icc_profile", None)
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
