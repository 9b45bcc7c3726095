"""Opening pictures that came from outside, safely."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from bootstrap.errors import UserError

MAX_PIXELS = 64_000_000  # an 8000x8000 picture; more is a mistake or a decompression bomb
MIN_SIDE = 32
# No others: Pillow has decoders for dozens, some of which start programs (EPS), and pictures may come from a browser.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")


def open_picture(path: Path) -> Image.Image:
    """Decode a picture file into an RGB image, upright (EXIF orientation applied), alpha laid on white.

    The colours are sRGB's: those of a colour profile in the file are converted, and the profile is left behind.

    Raises:
        UserError: the file is missing, empty, no picture, damaged, smaller than MIN_SIDE or larger than
            MAX_PIXELS; the size is checked before any pixel is decoded.
    """
    if not path.is_file():
        raise UserError(f"picture {path}: there is no such file")
    if path.stat().st_size == 0:
        raise UserError(f"picture {path}: the file is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            picture = Image.open(path, formats=FORMATS)
            _check_size(path, picture)
            upright = ImageOps.exif_transpose(picture)
            upright.load()
    except Image.DecompressionBombError:
        raise UserError(
            f"picture {path}: it has far more than {MAX_PIXELS:,} pixels, scale it down"
        ) from None
    except UnidentifiedImageError:
        raise UserError(f"picture {path}: not a picture in a known format (use PNG, JPEG or WebP)") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise on damaged files
        raise UserError(f"picture {path}: the file is damaged ({error})") from None
    return on_white(_in_srgb(_in_8_bits(upright)))


def _in_8_bits(picture: Image.Image) -> Image.Image:
    """Return a gray picture of 16 bits with 8; Pillow would cut off all that is brighter than 255."""
    if not picture.mode.startswith("I"):
        return picture
    levels = np.asarray(picture).astype(np.int64).clip(0, 65535)
    return Image.fromarray((levels >> 8).astype(np.uint8))


def _in_srgb(picture: Image.Image) -> Image.Image:
    """Return a picture's colours as sRGB has them, as far as its file says which ones they are."""
    profile = picture.info.pop("icc_profile", None)
    if not profile or picture.mode not in ("RGB", "CMYK", "L", "RGBA"):
        return picture
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture  # a broken profile, or one of another kind of picture: as if there were none
    if converted is None:
        return picture
    converted.info.pop("icc_profile", None)
    return converted


def _check_size(path: Path, picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UserError(f"picture {path}: {width}x{height} is more than {MAX_PIXELS:,} pixels, scale it down")
    if min(width, height) < MIN_SIDE:
        raise UserError(f"picture {path}: {width}x{height} is too small, each side needs {MIN_SIDE} or more")


def on_white(picture: Image.Image) -> Image.Image:
    """Return the picture as RGB; what is transparent shows white."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scale a picture to cover width x height pixels and crop what sticks out, equally on both sides."""
    if picture.size == (width, height):
        return picture
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
