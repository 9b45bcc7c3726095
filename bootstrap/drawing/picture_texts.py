"""All texts that a picture file carries, as they are: of PNG's chunks, of EXIF, XMP and comments."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import iTXt

from bootstrap import images
from bootstrap.drawing import user_comment

USER_COMMENT = "UserComment"
XMP = "XMP"
XMP_COMMENT = "UserComment of XMP"  # Draw Things' place
COMMENT = "comment"  # of GIF and JPEG
_TAGS = {
    0x010E: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0131: "Software", 0x927C: "MakerNote",
    0x9286: USER_COMMENT, 0x9C9C: "XPComment",
}  # fmt: skip
_OF_CAMERAS = ("Make", "Model", "Software", "MakerNote")  # what a photo has that nobody has described
_COMMENT_IN_XMP = ("<exif:UserComment>", "</exif:UserComment>")
_MARKUP = re.compile(r"<[^<>]{0,1000}>")


@dataclass(frozen=True)
class PictureTexts:
    """What a picture file says."""

    texts: dict[str, str]  # by PNG's keyword or EXIF's tag; none is empty
    size: tuple[int, int]  # of the stored pixels

    @property
    def described(self) -> dict[str, str]:
        """Those that are not only a camera's name."""
        return {place: text for place, text in self.texts.items() if place not in _OF_CAMERAS}


def of_file(path: Path) -> PictureTexts:
    """Return the texts of a picture file.

    Raises:
        UserError: the file is no picture.
    """
    with images.opened(path) as picture:
        return of_picture(picture)


def of_picture(picture: Image.Image) -> PictureTexts:
    """Return the texts of an opened picture; only a PNG's pixels are decoded, as texts may follow them."""
    if picture.format == "PNG":
        picture.load()
    texts: dict[str, str] = {}
    for place, text in (*_of_chunks(picture), *_of_exif(picture), *_of_xmp(picture)):
        if text.strip("\0 \t\r\n"):
            texts.setdefault(place, text)
    return PictureTexts(texts, picture.size)


def _of_chunks(picture: Image.Image) -> Iterator[tuple[str, str]]:
    if picture.format == "PNG":
        for key, value in picture.info.items():
            if isinstance(key, str) and isinstance(value, str) and key != "XML:com.adobe.xmp":
                yield key, value if isinstance(value, iTXt) else _as_utf8(value)
        for kind, content, *_ in getattr(picture, "private_chunks", ()):
            if kind == b"comf":  # ComfyUI's animations: keyword, 0, text
                key, _, text = content.partition(b"\0")
                yield key.decode("latin-1"), text.decode("utf-8", "replace")
    comment = picture.info.get("comment")
    if isinstance(comment, bytes):
        yield COMMENT, user_comment.decoded(comment)


def _as_utf8(text: str) -> str:
    """Return a text chunk as UTF-8 where a tool has written that instead of the Latin-1 of the PNG specification."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _of_exif(picture: Image.Image) -> Iterator[tuple[str, str]]:
    """Yield the texts of EXIF's first directory and of its Exif directory; what is malformed is left out."""
    try:
        exif = Image.Image.getexif(picture)
    except images.EXIF_ERRORS:
        return
    for directory in (lambda: exif, lambda: exif.get_ifd(ExifTags.IFD.Exif)):
        for tag, place in _TAGS.items():
            try:
                text = _exif_text(tag, directory().get(tag))
            except images.EXIF_ERRORS:
                continue
            keyword, colon, rest = text.partition(":")
            if colon and keyword.lower() in ("prompt", "workflow") and rest.lstrip().startswith("{"):
                yield keyword.lower(), rest  # ComfyUI's place in WebP: Model is "prompt:{...}"
            else:
                yield place, text


def _exif_text(tag: int, value: Any) -> str:
    if isinstance(value, tuple) and len(value) > 1 and all(isinstance(part, int) for part in value):
        value = bytes(part & 255 for part in value)
    if isinstance(value, str):
        value = value.encode("latin-1", "replace")  # as Pillow has decoded it
    if not isinstance(value, bytes):
        return ""
    if tag == 0x9C9C:  # Windows': UTF-16 in little-endian order
        return value.decode("utf-16-le", "replace").strip("\0")
    return user_comment.decoded(value)


def _of_xmp(picture: Image.Image) -> Iterator[tuple[str, str]]:
    xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or ""
    text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else str(xmp)
    begin, end = _COMMENT_IN_XMP
    _, _, after = text.partition(begin)
    comment, closed, _ = after.partition(end)
    if closed:
        yield XMP_COMMENT, html.unescape(_MARKUP.sub("", comment)).strip()
    yield XMP, text
