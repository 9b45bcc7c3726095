"""Rows of a catalog that somebody or a disk has changed, and database files that are none."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.hostile.case import CANDIDATE, HERE, PICK, PROJECT, SNAPSHOT, Case, Prepare, Web, drawn
from tests.hostile.inputs.shots import CHANGES, SHOT

# (table, column): values that SQLite keeps although the code never writes them.
_VALUES: dict[tuple[str, str], tuple[object, ...]] = {
    ("candidate", "path"): (
        "../../../../etc/passwd",
        "/dev/zero",
        "",
        "p" * 5000,
        "\x1b[31m\n",
        b"\xff\xfe",
        "~nobody/x",
        "generation-01",
    ),
    ("candidate", "state"): ("nothing", "", "\x1b[31m", 5),
    ("candidate", "verdict"): ("maybe", "\x1b"),
    ("candidate", "shot_id"): ("\x1b[31m", "../../x", ""),
    ("candidate", "duplicate_of"): ("\x1b[31m", CANDIDATE),
    ("candidate", "decided_at"): ("yesterday", 5, "9999-99-99 00:00:00"),
    ("candidate", "caption"): ("\x1b[31m\n", "", b"\xff"),
    ("candidate", "coarse"): (b"x", b"", "text"),
    ("candidate", "image_hash"): ("zz", "", "\x1b"),
    ("candidate", "quality"): ("good", float("inf")),
    ("candidate", "rank"): ("first", 2**62),
    ("candidate", "reviewer"): ("\x1b[31mann\n", "r" * 9000),
    ("candidate", "seconds"): ("long", float("inf")),
    ("candidate", "turn"): ("x", -5),
    ("candidate", "hash_kind"): ("evil", "\x1b"),
    ("generation", "state"): ("nothing", "\x1b[31m"),
    ("generation", "number"): (0, -1, 2**62, "one"),
    ("generation", "tallies"): ("{", "5", "[" * 5000, '[{"a": 1}]'),
    ("generation", "message"): ("\x1b[31m\n" * 900,),
    ("generation", "training_id"): ("\x1b", "t" * 9000),
    ("generation", "updated_at"): ("now",),
    ("generation", "rate"): ("fast",),
    ("project", "name"): ("\x1b[31m", "../..", "n" * 9000),
    ("snapshot", "path"): ("/etc/passwd", "\x1b[31m\n", "", "p" * 5000),
    ("snapshot", "epoch"): (-1, "two", 2**62),
    ("snapshot", "sha256"): ("zz", ""),
    ("snapshot", "loss"): ("low",),
    ("training", "settings"): ("[]", "{", "null", "5"),
    ("training", "dataset"): ("{}", "[5]", "null", '[{"picture": 5}]'),
    ("training", "variation"): ("x", -1),
    ("training", "started_at"): ("soon",),
    ("pick", "path"): ("../../../x.png", "/etc/passwd", "\x1b[31m", ""),
    ("pick", "caption"): ("\x1b[31m\n", "", b"\xff"),
    ("small_copy", "pixels"): (b"", b"x", "text"),
    ("feature", "vector"): (b"x", b"", "text"),
    ("sheet", "path"): ("../../x.png", "\x1b"),
    ("sheet", "axes"): ("{", "5", '[["strength", 5]]', "null"),
    ("verdict", "verdict"): ("maybe",),
    ("verdict", "decided_at"): ("then",),
    ("verdict", "reviewer"): ("\x1b[31m",),
    ("kept_apart", "one"): ("\x1b[31m",),
}
_VERBS = {
    "candidate": (
        ("candidates", PROJECT, "--all"),
        ("candidates", PROJECT, "--json", "--all"),
        ("status",),
        ("doctor",),
        ("grow", PROJECT),
        ("dedupe", PROJECT),
        ("dedupe", PROJECT, "--explain", "--count", "2"),
        ("plan", PROJECT),
        ("export", PROJECT, f"{HERE}/out", "--format", "kohya"),
        ("tags", PROJECT),
    ),
    "generation": (("status",), ("candidates", PROJECT), ("plan", PROJECT), ("doctor",)),
    "project": (("status",), ("doctor",), ("candidates", PROJECT)),
    "snapshot": (("status",), ("plan", PROJECT), ("doctor",), ("reindex", PROJECT)),
    "training": (("status",), ("plan", PROJECT), ("doctor",), ("tags", PROJECT)),
    "pick": (
        ("tags", PROJECT),
        ("grow", PROJECT),
        ("export", PROJECT, f"{HERE}/out", "--format", "imagefolder"),
        ("doctor",),
        ("retag", PROJECT, "--add", "hat"),
    ),
    "small_copy": (("dedupe", PROJECT, "--again"), ("dedupe", PROJECT, "--explain", "--count", "2")),
    "feature": (("reject-unlikely", PROJECT, "--yes"), ("candidates", PROJECT, "--ranked")),
    "sheet": (("status",), ("reindex", PROJECT), ("doctor",)),
    "verdict": (("undo", PROJECT), ("candidates", PROJECT)),
    "kept_apart": (("dedupe", PROJECT, "--again"),),
}


def cases() -> Iterator[Case]:
    """Yield the cases of this door."""
    rng = drawn("catalogs")
    for (table, column), values in _VALUES.items():
        for number, value in enumerate(values[:3] if table == "candidate" else values[:2]):
            verb = rng.choice(_VERBS[table])
            yield _case(
                f"{table}.{column} is value {number + 1}, {verb[0]}", verb, _changed(table, column, value)
            )
    for title in rng.sample(sorted(CHANGES), 14):
        verb = rng.choice(_VERBS["candidate"])
        yield _case(
            f"a shot with {title}, {verb[0]}",
            verb,
            _changed("candidate", "shot", json.dumps({**SHOT, **CHANGES[title]})),
        )
    for number, text in enumerate(("{", "null", "5", "[]", '"x"', "[" * 20_000, "")):
        verb = rng.choice(_VERBS["candidate"])
        yield _case(
            f"a shot that is none ({number + 1}), {verb[0]}", verb, _changed("candidate", "shot", text)
        )
    for column, value in (
        ("path", "../../project.toml"),
        ("path", "/dev/zero"),
        ("path", "\0x"),
        ("state", "nothing"),
        ("shot", "{"),
    ):
        yield Case(
            "catalogs",
            f"a picture's {column} is {value[:20]!r}, the app",
            prepare=_changed("candidate", column, value),
            web=Web(f"/picture/{PROJECT}/{CANDIDATE}.png"),
        )
        yield Case(
            "catalogs",
            f"a thumbnail's {column} is {value[:20]!r}, the app",
            prepare=_changed("candidate", column, value),
            web=Web(f"/thumbnail/{PROJECT}/{PICK}.webp"),
        )
    for title, content in {
        "empty": b"",
        "of zeros": bytes(9000),
        "a text": b"this is no database " * 500,
        "a header alone": b"SQLite format 3\0" + bytes(84),
    }.items():
        for verb in (("status",), ("doctor",), ("reindex",)):
            yield _case(f"a database {title}, {verb[0]}", verb, _written(content))
    for page in (2, 5, 9, 14, 20, 30):
        verb = rng.choice((("status",), ("candidates", PROJECT), ("doctor",), ("plan", PROJECT)))
        yield _case(f"a damaged page {page}, {verb[0]}", verb, _damaged(page))
    for verb in (("status",), ("doctor",)):
        yield _case(f"a folder for a database, {verb[0]}", verb, _folder)
        yield _case(f"a database that is cut, {verb[0]}", verb, _cut)
        yield _case(f"no table of candidates, {verb[0]}", verb, _script("DROP TABLE candidate"))
        yield _case(
            f"another version, {verb[0]}",
            verb,
            _script("UPDATE alembic_version SET version_num = '\x1b[31m9999'"),
        )
        yield _case(f"two versions, {verb[0]}", verb, _script("INSERT INTO alembic_version VALUES ('0003')"))
        yield _case(f"no version, {verb[0]}", verb, _script("DELETE FROM alembic_version"))
    yield _case("a catalog that does not take SNAPSHOT's file", ("doctor",), _without_snapshot)


def _case(name: str, verb: tuple[str, ...], prepare: Prepare) -> Case:
    return Case("catalogs", name, verb, prepare, exits=(0, 1, 2) if verb[0] == "doctor" else (0, 2))


def _path(here: Path) -> Path:
    return here / "workspace" / "catalog.sqlite"


def _changed(table: str, column: str, value: object) -> Prepare:
    def change(here: Path) -> None:
        with closing(sqlite3.connect(_path(here))) as connection:
            connection.execute("PRAGMA ignore_check_constraints=ON")
            first = (
                "SELECT rowid FROM candidate WHERE shot_id = ?"
                if table == "candidate"
                else f"SELECT min(rowid) FROM {table}"
            )
            given = (CANDIDATE,) if table == "candidate" else ()
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ({first})", (value, *given))
            connection.commit()

    return change


def _script(text: str) -> Prepare:
    def change(here: Path) -> None:
        with closing(sqlite3.connect(_path(here))) as connection:
            connection.executescript(text)

    return change


def _written(content: bytes) -> Prepare:
    return lambda here: _path(here).write_bytes(content)


def _damaged(page: int) -> Prepare:
    def damage(here: Path) -> None:
        with _path(here).open("r+b") as file:
            file.seek(4096 * (page - 1))
            file.write(b"\xde\xad" * 2048)

    return damage


def _folder(here: Path) -> None:
    _path(here).unlink()
    _path(here).mkdir()


def _cut(here: Path) -> None:
    content = _path(here).read_bytes()
    _path(here).write_bytes(content[: len(content) // 2])


def _without_snapshot(here: Path) -> None:
    (here / "workspace" / "projects" / PROJECT / SNAPSHOT).unlink()
