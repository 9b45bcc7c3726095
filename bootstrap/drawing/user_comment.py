"""Decode EXIF's UserComment, the place of infotext in JPEG, WebP and AVIF.

Format: EXIF 2.32, 4.6.6 (tag 0x9286): eight bytes name the encoding, then the text. UNICODE means UTF-16, whose byte
order the standard leaves open: AUTOMATIC1111 writes big-endian, others little-endian, with a byte order mark or
without, and some write UTF-8. Some write no encoding at all.
"""

import codecs

_ENCODINGS = (b"UNICODE\0", b"ASCII\0\0\0", b"JIS\0\0\0\0\0", bytes(8))
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decoded(content: bytes) -> str:
    """Return the text of a comment; what cannot be decoded becomes U+FFFD."""
    encoding = content[:8] if content[:8] in _ENCODINGS else b""
    text = content[len(encoding) :]
    for mark, codec in _MARKS:
        if text.startswith(mark):
            marked = text[len(mark) :]
            return _tidy((marked if codec == "utf-8" else _even(marked)).decode(codec, "replace"))
    if encoding == _ENCODINGS[0] or b"\0" in text.rstrip(b"\0"):
        return _tidy(_of_two_bytes(text))
    try:
        return _tidy(text.decode("utf-8"))
    except UnicodeDecodeError:
        japanese = encoding == _ENCODINGS[2]
        return _tidy(text.decode("iso2022_jp" if japanese else "cp1252", "replace"))


def _of_two_bytes(text: bytes) -> str:
    """Decode UTF-16 without a byte order mark, or UTF-8 where UTF-16 was promised."""
    if b"\0" not in text:
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            pass
    text = _even(text)
    big, little = (text.decode(codec, "replace") for codec in ("utf-16-be", "utf-16-le"))
    return little if _likelihood(little) > _likelihood(big) else big


def _even(text: bytes) -> bytes:
    """Return UTF-16 of whole letters: EXIF's type ASCII adds a zero, and its readers take the last one for that."""
    if len(text) % 2 == 0:
        return text
    return text[:-1] if text.endswith(b"\0") else text + b"\0"


def _likelihood(text: str) -> int:
    """Return how many letters are likely ones: in the wrong byte order, spaces and Latin letters are rare signs."""
    return sum(letter < "\u0250" for letter in text) - text.count("\ufffd")


def _tidy(text: str) -> str:
    return text.strip("\0").replace("\0", " ")
