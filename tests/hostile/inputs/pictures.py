"""Picture files that are broken, odd or no pictures, at each door that takes one."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

from PIL import Image

from tests.hostile.case import CANDIDATE, HERE, PROJECT, Case, drawn, file

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes, check: int | None = None, length: int | None = None) -> bytes:
    """Return a PNG's chunk, with a wrong checksum or length if given."""
    sum_ = zlib.crc32(kind + body) if check is None else check
    return struct.pack(">I", len(body) if length is None else length) + kind + body + struct.pack(">I", sum_)


def png(
    *extra: bytes,
    width: int = 128,
    height: int = 128,
    depth: int = 8,
    colour: int = 2,
    data: bytes | None = None,
    end: bool = True,
    interlace: int = 0,
) -> bytes:
    """Return a PNG of one colour; `extra` chunks stand between its header and its pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    if data is None:
        data = zlib.compress((b"\0" + b"\x40\x80\xc0" * 128) * 128)
    chunks = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", data), *([chunk(b"IEND", b"")] if end else [])]
    return _SIGNATURE + b"".join(chunks)


def text(key: str, value: str) -> bytes:
    """Return a text chunk of a PNG."""
    return chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + value.encode("utf-8", "surrogatepass"))


def _saved(mode: str, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (128, 128)).save(buffer, form, **options)
    return buffer.getvalue()


def _exif(tags: dict[int, object], inside: dict[int, object] | None = None) -> bytes:
    exif = Image.Exif()
    exif.update(tags)
    if inside:
        exif.get_ifd(0x8769).update(inside)
    return exif.tobytes()


def _fractions() -> bytes:
    buffer = io.BytesIO()
    Image.new("F", (128, 128), float("nan")).save(buffer, "TIFF")
    return buffer.getvalue()


def _many_texts() -> bytes:
    return png(*[chunk(b"tEXt", b"key%d\0value" % number) for number in range(3000)])


def _bomb() -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()


PICTURES: dict[str, Callable[[], bytes]] = {
    "no bytes": bytes,
    "a text": lambda: b"this is no picture, " * 50,
    "zeros": lambda: bytes(9000),
    "the signature alone": lambda: _SIGNATURE,
    "cut in the header": lambda: png()[:30],
    "cut in the pixels": lambda: png()[:80],
    "without an end": lambda: png(end=False),
    "a wrong checksum of the pixels": lambda: (
        png(data=b"")[:-12] + chunk(b"IDAT", zlib.compress(b"x"), check=1) + chunk(b"IEND", b"")
    ),
    "a chunk that claims 2 GiB": lambda: (
        _SIGNATURE
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 128, 128, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", b"x", length=2**31 - 1)
    ),
    "no pixels at all": lambda: png(data=zlib.compress(b"")),
    "pixels of no zlib": lambda: png(data=b"nothing" * 20),
    "pixels that unpack to 300 MiB": lambda: png(data=_bomb()),
    "width 0": lambda: png(width=0),
    "2 billion wide": lambda: png(width=2**31 - 1),
    "60,000 to each side": lambda: png(width=60_000, height=60_000),
    "7,900 to each side, hardly any data": lambda: png(width=7900, height=7900),
    "one pixel": lambda: png(width=1, height=1),
    "31 wide": lambda: png(width=31),
    "20,000 by 32": lambda: png(width=20_000, height=32, data=zlib.compress((b"\0" + bytes(60_000)) * 32)),
    "a depth of 7 bits": lambda: png(depth=7),
    "an unknown kind of colour": lambda: png(colour=5),
    "a palette that is missing": lambda: png(colour=3),
    "an odd palette": lambda: png(chunk(b"PLTE", b"ab"), colour=3),
    "an unknown interlacing": lambda: png(interlace=9),
    "a text of 8 MB": lambda: png(text("parameters", "x" * 8_000_000)),
    "a packed text of 300 MiB": lambda: png(chunk(b"zTXt", b"parameters\0\0" + _bomb())),
    "3,000 texts": _many_texts,
    "a text without a key": lambda: png(chunk(b"tEXt", b"\0")),
    "a text without an end": lambda: png(chunk(b"iTXt", b"parameters")),
    "a profile that is none": lambda: png(chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"profile" * 30))),
    "a profile of no zlib": lambda: png(chunk(b"iCCP", b"icc\0\0nothing")),
    "an APNG of a million frames": lambda: png(chunk(b"acTL", struct.pack(">II", 10**6, 0))),
    "an eXIf that is none": lambda: png(chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff")),
    "a gamma of 0": lambda: png(chunk(b"gAMA", bytes(4))),
    "one header after the other": lambda: png(chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0))),
    "of one bit": lambda: _saved("1", "PNG"),
    "of 16 bits": lambda: _saved("I;16", "PNG"),
    "of 32-bit fractions": lambda: _saved("F", "TIFF"),
    "of 32-bit integers": lambda: _saved("I", "TIFF"),
    "of CMYK": lambda: _saved("CMYK", "JPEG"),
    "of Lab": lambda: _saved("LAB", "TIFF"),
    "with transparency": lambda: _saved("LA", "PNG"),
    "turned by an odd number": lambda: _saved("RGB", "JPEG", exif=_exif({0x0112: 99})),
    "with EXIF of odd types": lambda: _saved(
        "RGB", "JPEG", exif=_exif({0x010F: "\x1b[31m", 0x011A: 5}, {0x9286: "\x00\x01"})
    ),
    "with a comment of half a letter": lambda: _saved(
        "RGB", "JPEG", exif=_exif({}, {0x9286: b"UNICODE\0\xd8\x3d\x00"})
    ),
    "turned, with a unit of text": lambda: _saved(
        "RGB",
        "JPEG",
        exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0"
        + struct.pack("<HHIHHHHII", 0x0112, 3, 1, 6, 0, 0x0128, 2, 4, 0x00636261)
        + bytes(4),
    ),
    "of fractions that are no numbers": lambda: _fractions(),
    "with EXIF that is cut": lambda: _saved("RGB", "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff"),
    "a WebP that is cut": lambda: _saved("RGB", "WEBP")[:40],
    "a JPEG that is cut": lambda: _saved("RGB", "JPEG")[:300],
    "a GIF without pictures": lambda: b"GIF89a\x80\0\x80\0\0\0\0;",
    "a BMP of a negative size": lambda: (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, -128, -128, 1, 24, 0, 0, 0, 0, 0, 0)
    ),
    "a TIFF that names itself": lambda: (
        b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x8769, 4, 1, 8) + b"\x08\0\0\0"
    ),
    "an SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="128" height="128"/>',
    "a PDF": lambda: b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
    "an archive": lambda: b"PK\x03\x04" + bytes(60),
    "another format than its name": lambda: _saved("RGB", "BMP"),
}

_DOORS = {
    "new": ("new", "fresh", "--image", f"{HERE}/picture.png", "--caption", "woman, hat"),
    "show": ("show", f"{HERE}/picture.png"),
    "redraw": ("redraw", f"{HERE}/picture.png"),
    "tag": ("tag", f"{HERE}/picture.png"),
    "inpaint": ("inpaint", PROJECT, CANDIDATE, "--mask", f"{HERE}/picture.png", "--prompt", "hat"),
}


def cases() -> Iterator[Case]:
    """Yield the cases of this door."""
    rng = drawn("pictures")
    for title, make in PICTURES.items():
        for verb in rng.sample(sorted(_DOORS), 2):
            yield Case("pictures", f"{title}, {verb}", _DOORS[verb], _made(cache(make)))


def _made(make: Callable[[], bytes]):
    return lambda here: file("picture.png", make())(here)
