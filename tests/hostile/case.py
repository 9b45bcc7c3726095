"""What one hostile input is: what lies in the folder before, and the command or request that meets it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = "@HERE@"  # in an argument: the case's own folder, with the workspace and the input's files
BUSY = "@BUSY@"  # in an argument: a port on which another program listens

PROJECT = "badge"
CANDIDATE = "64d335f46941fecd"  # of generation 1, a reject
PICK = "8e13f4718fef4bfd"  # of generation 1, in the dataset
SNAPSHOT = Path("generation-01/training-88d4b549/badge-g01-000001.safetensors")

Prepare = Callable[[Path], object]


@dataclass(frozen=True)
class Web:
    """A request to the review app, as the server hands it over: nothing of it has been made tidy."""

    path: str
    method: str = "GET"
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Case:
    """One hostile input at one door."""

    door: str
    name: str
    arguments: tuple[str, ...] = ()
    prepare: Prepare | None = None  # makes the input's files in the case's folder
    web: Web | None = None  # instead of a command
    environment: Mapping[str, str] = field(default_factory=dict)
    exits: tuple[int, ...] = (0, 2)  # exit codes that are right

    @property
    def id(self) -> str:
        """The door and the name, unique."""
        return f"{self.door}: {self.name}"


def project_folder(here: Path) -> Path:
    """Return the folder of the project that the case's workspace holds."""
    return here / "workspace" / "projects" / PROJECT


def file(name: str, content: bytes | str) -> Prepare:
    """Return what writes a file into the case's folder."""

    def write(here: Path) -> None:
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        )

    return write


def all_of(*steps: Prepare) -> Prepare:
    """Return what does one step after the other."""

    def prepare(here: Path) -> None:
        for step in steps:
            step(here)

    return prepare


def drawn(seed: str) -> random.Random:
    """Return a generator of random numbers that gives the same ones in each run."""
    return random.Random(f"hostile {seed}")


# Texts that break what reads or prints them: control characters, several lines, directions of writing, lengths.
ODD_TEXTS = {
    "empty": "",
    "of blanks": "   \t ",
    "of two lines": "first\nsecond",
    "with a bell and an escape": "\x07\x1b[31mred\x1b[0m",
    "with a carriage return": "good\rbad",
    "written from right to left": "abc\u202edef\u2066",
    "with a line separator": "one\u2028two\u2029three",
    "of no UTF-8": "caf\udce9",
    "with a C1 control": "a\x9b31mb",
    "of 300 letters": "a" * 300,
    "of 20,000 letters": "b" * 20_000,
    "of emoji": "\U0001f642" * 80,
    "like an option": "--help-me",
    "with quotes and braces": "\"'{}[]%s%n{0}",
    "like a path": "../../etc/x",
    "of a user that is not": "~nobody-of-that-name/x",
    "of combining marks": "e" + "\u0301" * 500,
}
ODD_NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "1e400",
    "9" * 400,
    "0x10",
    "1_0",
    "\u0663",
    "1,5",
    "",
    "two",
    "-0.0",
)
