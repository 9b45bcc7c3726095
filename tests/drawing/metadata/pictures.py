"""Pictures as other tools write them, made by hand in their documented forms."""

import gzip
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

SIZE = (64, 64)
FIELDS = "Steps: 6, Sampler: DDIM, CFG scale: 3, Seed: 42, Size: 128x128, Model: papertown, RNG: CPU, Version: v1.10.1"
INFO = f"a red apple, masterpiece\nNegative prompt: lowres, bad hands\n{FIELDS}"


def png(path: Path, **texts: Any) -> Path:
    """A PNG with these texts; what is no text is written as JSON."""
    info = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        text = value if isinstance(value, str) else json.dumps(value)
        keyword = key.replace("_of_", "-")
        info.add_text(keyword, text) if text.isascii() else info.add_itxt(keyword, text)
    Image.new("RGB", SIZE).save(path, "PNG", pnginfo=info)
    return path


def packed_text(path: Path, kind: bytes, keyword: bytes, text: str) -> Path:
    """A PNG whose text stands in a tEXt (as UTF-8, which the format does not allow), zTXt or packed iTXt chunk."""
    content = {
        b"tEXt": keyword + b"\0" + text.encode(),
        b"zTXt": keyword + b"\0\0" + zlib.compress(text.encode("latin-1", "replace")),
        b"iTXt": keyword + b"\0\1\0\0\0" + zlib.compress(text.encode()),
    }[kind]
    Image.new("RGB", SIZE).save(path, "PNG")
    whole = path.read_bytes()
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(whole[:33] + chunk + whole[33:])
    return path


def exif(payload: bytes, order: str = "<", tag: int = 0x9286, kind: int = 7, in_first: bool = False) -> bytes:
    """EXIF with one value, in the Exif directory or in the first one; kind 1 is BYTE, 2 ASCII, 7 UNDEFINED."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)

    def entry(offset: int) -> bytes:
        return struct.pack(order + "HHHII", 1, tag, kind, len(payload), offset) + bytes(4)

    if in_first:
        return b"Exif\0\0" + head + entry(26) + payload
    first = struct.pack(order + "HHHII", 1, 0x8769, 4, 1, 26) + bytes(4)
    return b"Exif\0\0" + head + first + entry(44) + payload


def with_exif(path: Path, block: bytes) -> Path:
    """A picture of the path's format with this EXIF."""
    Image.new("RGB", SIZE).save(path, exif=block)
    return path


def hidden(path: Path, text: str, signature: bytes, channels: int = 1) -> Path:
    """A picture with a text in the lowest bits, column by column: of alpha, or of three colours."""
    content = gzip.compress(text.encode()) if signature.endswith(b"comp") else text.encode()
    data = signature + struct.pack(">I", len(content) * 8) + content
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    width, height = 96, 80
    pixels = np.full((width, height, 4 if channels == 1 else 3), 254, np.uint8)
    flat = pixels[:, :, 3:].reshape(-1) if channels == 1 else pixels.reshape(-1)
    assert len(bits) <= len(flat)
    flat[: len(bits)] |= bits
    if channels == 1:
        pixels[:, :, 3] = flat.reshape(width, height)
    else:
        pixels = flat.reshape(width, height, 3)
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 0, 2))).save(path, lossless=True, exact=True)
    return path
