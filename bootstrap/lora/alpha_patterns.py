"""PEFT's `alpha_pattern`: alphas of single modules, by patterns of their names.

PEFT takes each pattern for a regular expression that the end of a module's name matches, from a dot on; the first that
matches decides (`get_pattern_key` in peft/utils/other.py). A pattern comes with somebody's file, and there are regular
expressions that no computer finishes. So only what such files contain is read: names, with `^` for the name's
beginning, an escaped dot for a dot, `.*` for anything, and `|` between names.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST = 20_000  # patterns of a file
_MOST_WILD = 100  # of them with .*
_LONGEST = 300  # characters of a pattern
_READABLE = re.compile(r"\^?(?:[\w-]|\\?\.|\.\*)+\$?")


@dataclass(frozen=True)
class AlphaPatterns:
    """The patterns of a config, read once for all modules."""

    _names: Mapping[str, tuple[int, Any]]  # by name: number of the pattern, and alpha
    _wild: Sequence[tuple[re.Pattern[str], int, Any]]

    @classmethod
    def read(cls, patterns: Mapping[str, Any]) -> "AlphaPatterns":
        """Read an `alpha_pattern`.

        Raises:
            ValueError: there are too many patterns, or one is another regular expression than those above.
        """
        if len(patterns) > MOST:
            raise ValueError(f"alpha_pattern has {len(patterns):,} patterns, {MOST:,} at most")
        names: dict[str, tuple[int, Any]] = {}
        wild = []
        single = [(part, alpha) for pattern, alpha in patterns.items() for part in pattern.split("|")]
        for number, (pattern, alpha) in enumerate(single):
            if len(pattern) > _LONGEST or not _READABLE.fullmatch(pattern):
                raise ValueError(
                    f"alpha_pattern has '{pattern[:60]}', a regular expression that is not supported; write names of "
                    "modules, with .* at most"
                )
            if ".*" in pattern:
                wild.append((_compiled(pattern), number, alpha))
            else:
                names.setdefault(pattern.removesuffix("$").replace("\\", ""), (number, alpha))
        if len(wild) > _MOST_WILD:
            raise ValueError(f"alpha_pattern has {len(wild):,} patterns with .*, {_MOST_WILD} at most")
        return cls(names, wild)

    def alpha_of(self, name: str) -> Any:
        """Return the alpha of the first pattern that a module's name matches; None: no pattern matches."""
        ends = [f"^{name}", name, *(name[at + 1 :] for at, letter in enumerate(name) if letter == ".")]
        matching = [self._names[end] for end in ends if end in self._names]
        matching += [(number, alpha) for pattern, number, alpha in self._wild if pattern.match(name)]
        return min(matching, key=lambda numbered: numbered[0])[1] if matching else None


def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a regular expression with the pattern's meaning that never goes back over what it has matched.

    After each `.*` the first place that fits is as good as any later one, so the engine may forget the others, as in
    Python's own `fnmatch`.
    """
    first, *others = pattern.removeprefix("^").removesuffix("$").replace("\\", "").split(".*")
    *middle, last = [re.escape(piece) for piece in others]
    start = "" if pattern.startswith("^") else r"(?:.*\.)?"
    between = "".join(f"(?>.*?{piece})" for piece in middle)
    return re.compile(f"{start}{re.escape(first)}{between}.*{last}$", re.DOTALL)
