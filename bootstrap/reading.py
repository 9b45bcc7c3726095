"""The one checked reader of what comes from outside: JSON, TOML, CSV, plain text, headers of safetensors files.

Each function returns a value or raises a UserError of one line that names the file, the place, what is wrong and what
to do. What a hostile or damaged file could do to the parsers is refused before or while it is parsed: sizes, depth,
repeated keys, NaN and Infinity, numbers beyond 64 bits or beyond float, text that is neither UTF-8 nor UTF-16, lone
surrogates. Only regular files are opened, so a FIFO never makes a command wait.
"""

import codecs
import csv
import io
import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from bootstrap.commands import command
from bootstrap.errors import UserError, in_one_line

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MOST_BYTES = 8_000_000  # of a JSON, text or CSV file
MOST_BYTES_OF_TOML = 500_000
MOST_BYTES_OF_YAML = 1_000_000  # its parser takes seconds for a megabyte
MOST_BYTES_OF_HEADER = (
    25_000_000  # of a safetensors file; the largest known ones, with tag counts, have a few
)
DEEPEST = 128  # levels of JSON or TOML; a shot with 32 passes has 66
_MOST_PARTS = 500_000  # objects and lists of a JSON text, so that a few megabytes do not become gigabytes
_INT64 = range(-(2**63), 2**63)
_UINT64 = range(-(2**63), 2**64)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_PLACE = 80  # characters of a message

_Shape = TypeVar("_Shape")


# ---- files


@contextmanager
def opened(path: Path, where: str) -> Iterator[io.BufferedReader]:
    """Open a regular file for reading bytes.

    Args:
        where: the beginning of a message, such as `LoRA /path/name.safetensors`.

    Raises:
        UserError: it is a folder, FIFO, device or socket.
        OSError: it is missing or cannot be read.
    """
    refuse_irregular(path, where)
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # exchanged since it was looked at
            raise UserError(_irregular(where))
        yield file


def refuse_irregular(path: Path, where: str) -> None:
    """Refuse what is no regular file, before another library opens it and waits.

    Raises:
        UserError: it is a folder, FIFO, device or socket, or its name cannot be one.
        OSError: it is missing or cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except ValueError:  # a name with a NUL
        raise UserError(f"{where}: this cannot be the name of a file") from None
    if not stat.S_ISREG(mode):
        raise UserError(_irregular(where))


def require_file(path: Path, where: str) -> None:
    """Refuse what is missing or no regular file, each by its name.

    Raises:
        UserError: nothing is there, or see refuse_irregular.
    """
    try:
        refuse_irregular(path, where)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{where}: there is no such file") from None


def _irregular(where: str) -> str:
    return f"{where}: it is no regular file, but a folder, pipe, device or socket; name a file"


def inside(folder: Path, relative: Path | str, where: str) -> Path:
    """Return `folder / relative` if it stays inside of `folder`; for paths of a catalog or of a file's metadata.

    Raises:
        UserError: the path is absolute, has `..`, or a link leads outside; or what is there is no regular file.
    """
    path = Path(relative)
    try:
        home = os.path.realpath(folder)
        real = os.path.realpath(folder / path)
        is_outside = path.is_absolute() or ".." in path.parts or not real.startswith(home + os.sep)
        is_irregular = os.path.lexists(real) and not os.path.isfile(real)  # noqa: PTH113  (on a text)
    except ValueError:  # a NUL in it
        is_outside, is_irregular = True, False
    if is_outside:
        raise UserError(
            f"{where}: its path '{relative}' leads outside of {folder}, so nothing is read or written there; "
            "the catalog or file that names it is damaged or comes from elsewhere"
        )
    if is_irregular:
        raise UserError(_irregular(f"{where}: {path}"))
    return folder / path


def text_file(path: Path, where: str, most_bytes: int = MOST_BYTES) -> str:
    """Return the text of a UTF-8 or UTF-16 file, with or without a byte order mark.

    Raises:
        UserError: it is no regular file, is too long, or is in another encoding, such as one of Windows' code pages.
        OSError: it is missing or cannot be read.
    """
    with opened(path, where) as file:
        content = file.read(most_bytes + 1)
    return text_of_bytes(content, where, most_bytes)


def text_of_bytes(content: bytes, where: str, most_bytes: int = MOST_BYTES) -> str:
    """Return the text of a file's content, such as that of a file in an archive; see text_file."""
    if len(content) > most_bytes:
        raise UserError(f"{where}: it has more than {most_bytes:,} bytes, far too many for such a file")
    return _decoded(content, where)


def caption_file(path: Path, where: str) -> str:
    """Return the caption in a text file beside a picture: its one line, without white space around it; "": none.

    kohya's sd-scripts train the first of several lines, or, with `enable_wildcard`, one by chance. Both would leave
    words out silently, so such a file is refused.

    Raises:
        UserError: it has several lines that are not blank; see `text_file` too.
        OSError: it is missing or cannot be read.
    """
    return caption_line(text_file(path, where), where)


def caption_line(text: str, where: str) -> str:
    """Return the caption in the text of such a file; see caption_file."""
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    if len(lines) > 1:
        raise UserError(
            f"{where}: it has {len(lines)} lines, and a caption is one line; leave one, or join them to one"
        )
    return "".join(lines)


def _decoded(content: bytes, where: str) -> str:
    encoding = _encoding_of(content)
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        bad = f"byte 0x{content[error.start]:02x} at {error.start}"
        name = "UTF-8" if encoding == "utf-8" else "UTF-16"
        hint = " (it looks like one of Windows' own encodings)" if encoding == "utf-8" else ""
        raise UserError(f"{where}: it is not {name} text ({bad}){hint}; save it as UTF-8") from None
    if "\0" in text:
        raise UserError(f"{where}: it has NUL characters, so it is no text; save it as UTF-8")
    return text


def _encoding_of(content: bytes) -> str:
    """Return utf-8, or utf-16-le or utf-16-be if the text begins with its mark or plainly is of that form.

    Without a mark, UTF-16 is told by the NULs of its ASCII letters, if these are at least half of the text.
    """
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if content.startswith(mark) and not content.startswith(codecs.BOM_UTF32_LE):
            return encoding
    if len(content) % 2 == 0 and b"\0" in content:
        for zeros, letters, encoding in (
            (content[1::2], content[::2], "utf-16-le"),
            (content[::2], content[1::2], "utf-16-be"),
        ):
            if 2 * zeros.count(0) >= len(zeros) and zeros.count(0) > 4 * letters.count(0):
                return encoding
    return "utf-8"


# ---- JSON


class _RefusedError(ValueError):
    """JSON that is well-formed, but holds what no such file may hold."""


def json_file(path: Path, where: str, remedy: str, most_bytes: int = MOST_BYTES) -> Any:
    """Return the value in a JSON file.

    Args:
        where: the beginning of a message, which names the file.
        remedy: what to do, such as `download the model again`.

    Raises:
        UserError: see the module.
        OSError: it is missing or cannot be read.
    """
    try:
        text = text_file(path, where, most_bytes)
    except UserError as error:
        raise UserError(f"{error}; {remedy}") from None
    return parse_json(text, where, remedy)


def parse_json(
    text: str | bytes, where: str, remedy: str, infinite: bool = False, of_tools: bool = False
) -> Any:
    """Return the value of a JSON text.

    Args:
        where: the beginning of a message.
        remedy: what to do, the end of a message.
        infinite: allow Infinity, which an optimizer's own settings have.
        of_tools: as other tools write it into pictures: NaN and Infinity become None, because ComfyUI writes NaN for
            what it has not computed, and seeds may have 64 bits without a sign.

    Raises:
        UserError: see the module.
    """
    if isinstance(text, bytes):
        text = _decoded(text, where)
    try:
        containers = text.count("{") + text.count("[")
        if containers > _MOST_PARTS:
            raise _RefusedError(f"it has more than {_MOST_PARTS:,} objects and lists")
        decoder = _decoder_with_infinity if infinite else _decoder_of_tools if of_tools else _decoder
        value = decoder.decode(text)
        if containers > DEEPEST or "\\u" in text:
            _check_tree(value, _UINT64 if of_tools else _INT64)
    except RecursionError:
        problem = f"it is nested deeper than {DEEPEST} levels"
    except json.JSONDecodeError as error:
        problem = f"not valid JSON (line {error.lineno}, column {error.colno}: {error.msg})"
    except ValueError as error:
        problem = f"not valid JSON ({error})"
    else:
        return value
    raise UserError(f"{where}: {problem}; {remedy}")


def _check_tree(value: Any, integers: range = _INT64) -> None:
    """Refuse more than DEEPEST levels, lone surrogates, and numbers beyond 64 bits; without recursion."""
    left = [(value, 1)]
    while left:
        part, level = left.pop()
        if isinstance(part, str):
            if _SURROGATE.search(part):
                raise _RefusedError("a text has half of a surrogate pair")
        elif isinstance(part, int):
            if part not in integers:
                raise _RefusedError("a number is beyond 64 bits")
        elif isinstance(part, dict | list):
            if level > DEEPEST:
                raise _RefusedError(f"it is nested deeper than {DEEPEST} levels")
            left += ((inner, level + 1) for inner in (part if isinstance(part, list) else part.values()))
            if isinstance(part, dict):
                left += ((key, level) for key in part)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _RefusedError(f"the key '{twice[:_LONGEST_PLACE]}' is there twice")
    return made


def _integer(digits: str, integers: range = _INT64) -> int:
    if len(digits) > 20 or int(digits) not in integers:
        raise _RefusedError(f"the number {digits[:_LONGEST_PLACE]} is beyond 64 bits")
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > 400 or math.isinf(float(digits)):
        raise _RefusedError(f"the number {digits[:_LONGEST_PLACE]} is too large or too long")
    return float(digits)


def _constant(name: str) -> float:
    raise _RefusedError(f"{name} is no number")


_decoder, _decoder_with_infinity = (
    json.JSONDecoder(
        object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=constant
    )
    for constant in (_constant, float)
)
_decoder_of_tools = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=lambda digits: _integer(digits, _UINT64), parse_float=_float,
    parse_constant=lambda name: None,
)  # fmt: skip


def parse_catalog_json(text: str | bytes) -> Any:
    """Return the value of a JSON column of the catalog, as SQLAlchemy asks for it.

    Raises:
        UserError: see the module.
        TypeError: SQLite has made a number of it, which SQLAlchemy then takes as it is.
    """
    if not isinstance(text, str | bytes):
        raise TypeError("no text")
    where = "catalog: a row is damaged"
    try:
        return parse_json(text, where, "")
    except UserError:  # the remedy only now: this is called for every row
        remedy = f"move the catalog away (keep it) and run `{command('reindex')}`, which builds a new one"
        return parse_json(text, where, remedy)


# ---- TOML


def toml_file(path: Path, where: str) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        UserError: see the module.
        OSError: it is missing or cannot be read.
    """
    return parse_toml(text_file(path, f"{where}: not valid TOML", MOST_BYTES_OF_TOML), where)


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises:
        UserError: see the module.
    """
    try:
        _check_keys(text)
        tables = tomllib.loads(text)
        _check_tree(tables)
    except RecursionError:
        problem = f"it is nested deeper than {DEEPEST} levels"
    except ValueError as error:  # TOMLDecodeError, or a number with thousands of digits
        problem = in_one_line(str(error))
    else:
        return tables
    raise UserError(f"{where}: not valid TOML: {problem}")


_TOML_TEXTS = re.compile(
    r'"""(?:\\.|[^\\])*?"""|' r"'''.*?'''|" r'"(?:\\.|[^"\\\n])*"|' r"'[^'\n]*'|#[^\n]*", re.DOTALL
)
_DOTTED = re.compile(r"[\w.-]+")


def _check_keys(text: str) -> None:
    """Refuse dotted keys of more than DEEPEST parts: tomllib's memory grows with the square of their length."""
    bare = _TOML_TEXTS.sub("s", text).replace(" ", "").replace("\t", "")
    if any(dotted[0].count(".") > DEEPEST for dotted in _DOTTED.finditer(bare)):
        raise _RefusedError(f"a key has more than {DEEPEST} parts")


# ---- YAML


def parse_yaml(text: str, where: str) -> Any:
    """Return the value of a YAML text; aliases are refused, because a few lines of them stand for gigabytes.

    Raises:
        UserError: see the module.
    """
    import yaml

    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise _RefusedError("it has aliases (*name)")
        value = yaml.safe_load(text)
        _check_tree(value)
    except RecursionError:
        problem = f"it is nested deeper than {DEEPEST} levels"
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:  # TypeError: a list as a key
        problem = f"not valid YAML ({in_one_line(str(error))})"
    else:
        return value
    raise UserError(f"{where}: {problem}; correct it, or take it out")


# ---- CSV


def csv_file(path: Path, columns: Sequence[str], where: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a head; each row has at least these columns, as text.

    Raises:
        UserError: see the module; or a column is missing, or there is no row.
        OSError: it is missing or cannot be read.
    """
    text = text_file(path, where)
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise UserError(f"{where}: not valid CSV ({error}); download it again") from None
    if not rows or not set(columns) <= rows[0].keys():
        raise UserError(f"{where}: it needs the columns {' and '.join(f'`{name}`' for name in columns)}")
    for number, row in enumerate(rows, 1):
        if any(row[name] is None for name in columns):
            raise UserError(f"{where}: row {number} is too short; download it again")
    return rows


# ---- shapes

_SHORTER = {  # pydantic's own words name our classes
    "model_type": "it is no object",
    "dict_type": "it is no object",
    "extra_forbidden": "it is unknown",
    "missing": "it is missing",
}


@lru_cache(maxsize=64)
def _adapter(shape: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter  # here, because `sid --help` need not wait for it

    return TypeAdapter(shape)


def shaped(shape: type[_Shape], value: Any, where: str, remedy: str) -> _Shape:
    """Check a parsed value against a pydantic model or a type such as dict[str, str]; nothing is converted.

    Args:
        where: the beginning of a message.
        remedy: what to do, the end of a message.

    Raises:
        UserError: it has another type, range or length; the message names the place.
    """
    from pydantic import ValidationError

    try:
        return cast("_Shape", _adapter(cast("Any", shape)).validate_python(value, strict=True))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = place_of(problem["loc"])
        reason = _SHORTER.get(problem["type"]) or problem["msg"][:1].lower() + problem["msg"][1:]
    raise UserError(f"{where}: {f'{place}: ' if place else ''}{reason}; {remedy}")


def place_of(location: Sequence[int | str]) -> str:
    """Return the place of a value within a document, such as `loras[0].strength`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part[:_LONGEST_PLACE]}" for part in location)
    return "".join(parts).removeprefix(".")[: 2 * _LONGEST_PLACE]


# ---- safetensors


@dataclass(frozen=True)
class SafetensorsHeader:
    """The header of a safetensors file. Format: github.com/huggingface/safetensors, README."""

    shapes: dict[str, tuple[int, ...]]  # of its tensors, by name
    metadata: dict[str, str]
    begin: int  # of the tensors' bytes, from the file's beginning


def safetensors_header(path: Path, where: str, remedy: str) -> SafetensorsHeader:
    """Read the header of a safetensors file, and check that the file holds all its tensors.

    Args:
        where: the beginning of a message.
        remedy: what to do about a damaged file, such as `download it again`.

    Raises:
        UserError: it is no regular file, no safetensors file, damaged or cut off.
        OSError: it is missing or cannot be read.
    """
    with opened(path, where) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            raise UserError(f"{where}: damaged, not a safetensors file, or an incomplete download; {remedy}")
        if length > MOST_BYTES_OF_HEADER:
            raise UserError(
                f"{where}: its safetensors header has {length:,} bytes, which cannot be right; {remedy}"
            )
        content = file.read(length)
    of_header = f"{where}: its safetensors header is damaged"
    raw = shaped(dict[str, Any], parse_json(content, of_header, remedy), of_header, remedy)
    metadata = shaped(dict[str, str] | None, raw.pop("__metadata__", None), of_header, remedy) or {}  # type: ignore[arg-type]
    end, shapes = 0, {}
    for name, entry in raw.items():
        try:
            begin, entry_end = entry["data_offsets"]
            sides = tuple(entry["shape"])
            numbers = (begin, entry_end, *sides)
            if not all(type(number) is int and number >= 0 for number in numbers) or begin > entry_end:
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{of_header} (at '{name[:_LONGEST_PLACE]}'); {remedy}") from None
        shapes[name] = sides
        end = max(end, entry_end)
    missing = 8 + length + end - size
    if missing > 0:
        raise UserError(f"{where}: damaged: the file is cut off, {missing:,} bytes are missing; {remedy}")
    return SafetensorsHeader(shapes, metadata, 8 + length)


@contextmanager
def safetensors(path: Path, where: str, remedy: str, framework: str = "pt") -> Iterator[Any]:
    """Open the tensors of a safetensors file, as safetensors' own `safe_open` does.

    Args:
        where: the beginning of a message.
        remedy: what to do about a damaged file.
        framework: "pt" for torch, "np" for NumPy.

    Raises:
        UserError: it is no regular file, or damaged, also when a tensor is read within the block.
        OSError: it is missing or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    refuse_irregular(path, where)
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except SafetensorError as error:
        reason = in_one_line(str(error))
        raise UserError(f"{where}: damaged, or not a safetensors file ({reason}); {remedy}") from None
