#!/usr/bin/env bash
# Pillow: a gray TIFF of 16 bits whose white is 0 opens as its negative, one of 8 bits does not.
#
# Versions: Pillow 13.0.0. Seen on 2026-11-28.
#
# TIFF's PhotometricInterpretation 0 (WhiteIsZero) means that 0 is white. Pillow inverts such pictures of 1, 2, 4 and 8
# bits while it opens them; with 16 bits it hands the values on as they are, in the mode that also stands for black as
# zero, so a scan becomes its negative without a word. (In big-endian order such a file is no picture at all to it.)
#
# Expected by a reader: the same picture at each depth.
# Output seen:
#   8 bits, white is zero: the first pixel of a file of zeros is 255 of 255
#   16 bits, white is zero: the first pixel of a file of zeros is 0 of 65535

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq pillow==13.0.0
"$work/venv/bin/python" - <<'PY'
import io
import struct

from PIL import Image

seen = {}
for bits in (8, 16):
    pixels = bytes(4 * 4 * bits // 8)
    entries = [(256, 4), (257, 4), (258, bits), (259, 1), (262, 0), (273, 8), (277, 1), (278, 4), (279, len(pixels))]
    tags = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in entries)
    head = b"II*\0" + struct.pack("<I", 8 + len(pixels))
    content = head + pixels + struct.pack("<H", len(entries)) + tags + bytes(4)
    seen[bits] = Image.open(io.BytesIO(content)).getpixel((0, 0))
    print(f"{bits} bits, white is zero: the first pixel of a file of zeros is {seen[bits]} of {2**bits - 1}")
assert seen == {8: 255, 16: 0}
PY
echo "Pillow still opens 16 bits with white as zero as a negative"
