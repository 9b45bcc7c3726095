#!/usr/bin/env bash
# Pillow: a photo cannot be turned upright because another tag, which turning does not need, is malformed.
#
# Versions: Pillow 13.0.0. Seen on 2026-11-28.
#
# `ImageOps.exif_transpose` reads the orientation, turns the pixels, and then writes the whole EXIF block anew without
# that tag. A value of another type than its tag has, such as a ResolutionUnit that is a text, cannot be written, and
# `struct.error`, `TypeError` or `AttributeError` end the call, none of which says that the picture itself is whole.
# Reading the tags raises nothing, so a check of `getexif()` beforehand does not help.
#
# Expected by a reader: the picture is turned, or an error that names the file's EXIF.
# Output seen:
#   orientation as read: 6
#   ResolutionUnit is a text: error: required argument is not an integer
#   XResolution is a text: TypeError: bad operand type for abs(): 'str'
#   Make is a fraction: AttributeError: 'IFDRational' object has no attribute 'encode'

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq pillow==13.0.0
"$work/venv/bin/python" -W ignore - <<'PY'
import io
import struct

from PIL import Image, ImageOps

turned = (0x0112, 3, 1, struct.pack("<H", 6))
malformed = {
    "ResolutionUnit is a text": (0x0128, 2, 4, b"abc\0"),
    "XResolution is a text": (0x011A, 2, 4, b"72\0\0"),
    "Make is a fraction": (0x010F, 10, 1, struct.pack("<I", 8)),
}


def opened(*entries):
    tags = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + tags + bytes(4)
    buffer = io.BytesIO()
    Image.new("RGB", (96, 64)).save(buffer, "JPEG", exif=exif)
    return Image.open(buffer)


assert ImageOps.exif_transpose(opened(turned)).size == (64, 96)
print("orientation as read:", opened(turned, malformed["ResolutionUnit is a text"]).getexif()[0x0112])
for title, entry in malformed.items():
    try:
        ImageOps.exif_transpose(opened(turned, entry))
        raise SystemExit(f"{title}: turned")
    except (AttributeError, TypeError, struct.error) as error:
        print(f"{title}: {type(error).__name__}: {error}")
PY
echo "Pillow still writes all of EXIF anew to turn a picture"
