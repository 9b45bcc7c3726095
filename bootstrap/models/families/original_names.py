"""Names of a transformer's modules in its own release, beside those of diffusers.

A release may have one module where diffusers has three (`qkv` for query, key and value, whose rows follow each other),
or the two halves of a module's rows the other way round. ComfyUI and most trainers name LoRA files' modules after the
release, with `_` for `.` in kohya's format.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

_NUMBER = re.compile(r"(?<=[._])(?:0|[1-9]\d{0,3})(?=[._])")  # of a block: the first number of a path
_PLACE = "{n}"


@dataclass(frozen=True)
class OriginalModule:
    """A module of the release; in a table, `{n}` stands for the block's number."""

    path: str  # in the release
    own_paths: tuple[str, ...]  # in diffusers; of several, each has an equal share of the rows, in this order
    halves_swapped: bool = False  # diffusers has the second half of the rows first


class OriginalNames:
    """The table of a kind of transformer."""

    def __init__(self, modules: Iterable[OriginalModule]) -> None:
        """Take all modules that a LoRA can change."""
        self._of_own: dict[str, OriginalModule] = {}
        self._of_file: dict[str, tuple[OriginalModule, str]] = {}  # by path with `_`, with the dotted path
        for module in modules:
            self._of_file[_underscored(module.path)] = module, module.path
            for own in module.own_paths:
                self._of_own[own] = module
        for own, module in self._of_own.items():
            self._of_file.setdefault(_underscored(own), (module, own))

    def path(self, name: str) -> str | None:
        """Return the dotted path for a path in either naming, with `.` or `_`; None: there is no such module.

        It is diffusers' path, or that of the release if no single module of diffusers has the same rows.
        """
        for key, number in _keys(_underscored(name)):
            if key in self._of_file:
                module, path = self._of_file[key]
                is_same = len(module.own_paths) == 1 and not module.halves_swapped
                return _numbered(module.own_paths[0] if is_same else path, number)
        return None

    def original(self, path: str) -> OriginalModule | None:
        """Return the release's module for one of the paths that `path` returns."""
        for key, number in _keys(path):
            module = self._of_own.get(key)
            if module is None:
                module, found = self._of_file.get(_underscored(key), (None, ""))
                module = module if found == key else None
            if module is not None:
                own = tuple(_numbered(own, number) for own in module.own_paths)
                return replace(module, path=_numbered(module.path, number), own_paths=own)
        return None


def _underscored(path: str) -> str:
    return path.replace(".", "_")


def _keys(path: str) -> list[tuple[str, str]]:
    """Return a path as it is in a table, with the block's number; a path outside of blocks has none."""
    found = _NUMBER.search(path)
    if found is None:
        return [(path, "")]
    return [(path, ""), (path[: found.start()] + _PLACE + path[found.end() :], found[0])]


def _numbered(path: str, number: str) -> str:
    return path.replace(_PLACE, number)
