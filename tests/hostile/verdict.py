"""Whether a hostile input was met as a user may expect it."""

import re
import signal
import unicodedata
from typing import Any

LONGEST = 505  # characters of a message: `sid: ` and 500
_PARTIAL = ".sid-partial-"
# Control characters, half a pair, line separators and marks that turn the direction of writing.
_TURNING = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


def faults(result: dict[str, Any]) -> list[str]:
    """Return what is wrong with how `sid` met an input; empty: nothing."""
    found = []
    code, err, out = result["exit"], result["err"], result["out"]
    if not result["prepared"]:
        return [f"the case itself is wrong: {err[-600:]}"]
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        found.append("bounds: more than 10 s of processor time")
    elif code == -signal.SIGALRM:
        found.append("bounds: waits for ever")
    elif code < 0:
        found.append(f"bounds: ended by {signal.Signals(-code).name}")
    if "MemoryError" in err or "can't allocate memory" in err:
        found.append(f"bounds: more than 1 GiB of memory ({_last(err)})")
    elif "Traceback (most recent call last)" in err or "Traceback (most recent call last)" in out:
        found.append(f"readers: a traceback ({_last(err)})")
    elif code >= 0 and code not in result["exits"] and not _is_machines(result):
        found.append(f"readers: exit {code} ({_last(err)})")
    lines = err.splitlines() if code == 0 else err.removesuffix("\n").split("\n")
    if (
        code == 2
        and len(lines) != 1
        and not any("Traceback" in fault or "traceback" in fault for fault in found)
    ):
        found.append(f"readers: {len(lines)} lines on stderr ({lines[0][:200]!r})")
    too_long = max((len(line) for line in lines), default=0)
    if code >= 0 and too_long > LONGEST and not found:
        found.append(f"readers: a message of {too_long} characters ({max(lines, key=len)[:120]!r})")
    for name, text in (("stderr", err), ("stdout", out)):
        raw = sorted({letter for letter in text if _is_raw(letter)})
        if raw and "traceback" not in " ".join(found):
            found.append(f"readers: {name} has raw {', '.join(f'U+{ord(letter):04X}' for letter in raw[:5])}")
    if code != 0 and result["changed"]:
        found.append(f"writes: refused, but these files changed: {', '.join(result['changed'][:4])}")
    left = [name for name in result["files"] if _PARTIAL in name and name in result["changed"]]
    if left and code == 0:
        found.append(f"writes: partial files are left: {', '.join(left[:4])}")
    if re.match(r"5\d\d ", out):
        found.append(f"servers: answers {out[:3]}")
    return found


def _is_machines(result: dict[str, Any]) -> bool:
    """Return whether it told a problem of the machine, such as a damaged catalog: exit code 1 and one line."""
    return result["exit"] == 1 and re.fullmatch(r"sid: [^\n]+\n", result["err"]) is not None


def _is_raw(letter: str) -> bool:
    return letter not in "\n\t" and (
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _TURNING
    )


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if not line.startswith("sid: this is a bug")]
    return lines[-1][:160] if lines else ""
