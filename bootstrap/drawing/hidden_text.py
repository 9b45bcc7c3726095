"""Text hidden in the lowest bits of a picture's alpha or colours, as NovelAI and "stealth pnginfo" write it.

Format: github.com/NovelAI/novelai-image-metadata, nai_meta.py, and sd_webui_stealth_pnginfo: column by column from the
left, from top to bottom, a signature of 15 bytes, the number of the text's bits in 4 bytes (big-endian), then the text
as UTF-8, packed with gzip if the signature ends in `comp`. One bit a pixel in alpha, three in red, green and blue.
"""

import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIGNATURES = {
    "A": (b"stealth_pnginfo", b"stealth_pngcomp"),
    "RGB": (b"stealth_rgbinfo", b"stealth_rgbcomp"),
}
_LOSSLESS = ("PNG", "WEBP", "BMP", "TIFF")
_HEAD = 15 + 4  # bytes
_MOST_BYTES = 8_000_000  # of the text


def of_picture(picture: Image.Image) -> str:
    """Return the text that is hidden in an opened picture, empty if there is none; decodes its pixels."""
    if picture.format not in _LOSSLESS or picture.mode not in ("RGBA", "RGB"):
        return ""
    for channels, signatures in _SIGNATURES.items():
        if channels == "A" and picture.mode != "RGBA":
            continue
        head = _bytes_of(picture, channels, _HEAD)
        if head[:15] not in signatures or len(head) < _HEAD:
            continue
        length = int.from_bytes(head[15:], "big") // 8
        if length > _MOST_BYTES or length * 8 > picture.width * picture.height * len(channels):
            return ""
        content = _bytes_of(picture, channels, _HEAD + length)[_HEAD:]
        return (_unpacked(content) if head.startswith(signatures[1]) else content).decode("utf-8", "replace")
    return ""


def _bytes_of(picture: Image.Image, channels: str, count: int) -> bytes:
    """Return the first bytes that the lowest bits of a picture's channels make; fewer if it is too small."""
    bits_of_column = picture.height * len(channels)
    columns = min(picture.width, -(-count * 8 // bits_of_column))
    strip: NDArray[np.uint8] = np.asarray(picture.crop((0, 0, columns, picture.height)))
    strip = strip[:, :, 3:] if channels == "A" else strip[:, :, :3]
    return np.packbits(strip.transpose(1, 0, 2).reshape(-1) & 1).tobytes()[:count]


def _unpacked(content: bytes) -> bytes:
    """Return what gzip has packed, as far as it can be read and at most 8 MB of it."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        return unpacker.decompress(content, _MOST_BYTES)
    except zlib.error:
        return b""
