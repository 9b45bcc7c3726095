"""Workspaces as disks, people and other programs leave them: doctor, status and reindex meet each."""

# ruff: noqa: E501  (a file's content is easier to read on one line)

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.case import (
    CANDIDATE,
    HERE,
    PICK,
    PROJECT,
    SNAPSHOT,
    Case,
    Prepare,
    all_of,
    drawn,
    project_folder,
)
from tests.hostile.inputs.pictures import PICTURES, png, text
from tests.hostile.inputs.shots import CHANGES, CHUNKS, SHOT
from tests.hostile.inputs.tensors import HEADERS, lora


def _folder(name: str, toml: bytes | None = b'[project]\ncaption = "hat"\n') -> Prepare:
    def make(here: Path) -> None:
        folder = here / "workspace" / "projects" / os.fsdecode(name)
        folder.mkdir()
        if toml is not None:
            (folder / "project.toml").write_bytes(toml)

    return make


def _at(inside: str | Path, make: object) -> Prepare:
    """Return what replaces a file of the project: by bytes, or by what a function makes at its path."""

    def replace(here: Path) -> None:
        path = project_folder(here) / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if isinstance(make, bytes):
            path.write_bytes(make)
        else:
            make(path)  # type: ignore[operator]

    return replace


_CANDIDATE = f"generation-01/candidates/{CANDIDATE}.png"
_NEW = "generation-02/candidates/0123456789abcdef.png"
ODD: dict[str, Prepare] = {
    "a project whose name is raw": _folder("\x1b[31mred\n"),
    "a project whose name is no UTF-8": _folder("caf\udce9"),
    "a leftover of `sid new`": _folder(".sid-partial-fresh"),
    "a hidden folder": _folder(".hidden"),
    "a name that sid does not take": _folder("what? no"),
    "a name of 200 letters": _folder("n" * 200),
    "an empty folder": _folder("empty", None),
    "a project without an original": _folder("other"),
    "settings that are rubbish": _folder("other", b"\xff\xfe\0"),
    "a file among the projects": lambda here: (here / "workspace/projects/notes.txt").write_text("x"),
    "a link to itself": lambda here: (here / "workspace/projects/loop").symlink_to(
        here / "workspace/projects/loop"
    ),
    "a link to the workspace": lambda here: (here / "workspace/projects/again").symlink_to(
        here / "workspace"
    ),
    "projects is a file": lambda here: (
        shutil.rmtree(here / "workspace/projects"),
        (here / "workspace/projects").write_text("x"),
    ),
    "settings are a FIFO": lambda here: (
        _folder("other", None)(here),
        os.mkfifo(here / "workspace/projects/other/project.toml"),
    ),
    "settings are a folder": lambda here: (here / "workspace/projects/other/project.toml").mkdir(
        parents=True
    ),
    "an original of rubbish": _at("original.png", b"no picture"),
    "an original that is a FIFO": _at("original.png", os.mkfifo),
    "an original that is a folder": _at("original.png", Path.mkdir),
    "an original linked to itself": _at("original.png", lambda path: path.symlink_to(path)),
    "no original": lambda here: (project_folder(here) / "original.png").unlink(),
    "an original linked to a device": _at("original.png", lambda path: path.symlink_to("/dev/zero")),
    "a candidate that is a folder": _at(_CANDIDATE, Path.mkdir),
    "a candidate that is a FIFO": _at(_CANDIDATE, os.mkfifo),
    "a candidate of no bytes": _at(_CANDIDATE, b""),
    "a candidate that is cut": _at(_CANDIDATE, png()[:90]),
    "a candidate linked to nowhere": _at(_CANDIDATE, lambda path: path.symlink_to("none")),
    "a new picture without a shot": _at(_NEW, png()),
    "a new picture that is a FIFO": _at(_NEW, os.mkfifo),
    "a new picture that is a folder": _at(_NEW, Path.mkdir),
    "a new picture of another size": _at(_NEW, png(text("sid", json.dumps(SHOT)))),
    "a snapshot that is a folder": _at(SNAPSHOT, Path.mkdir),
    "a snapshot that is a FIFO": _at(SNAPSHOT, os.mkfifo),
    "a snapshot of no bytes": _at(SNAPSHOT, b""),
    "a record that is no JSON": _at(
        SNAPSHOT.with_name("x.safetensors"), lora(metadata={"sid_training": "{"})
    ),
    "a record that is a list": _at(
        SNAPSHOT.with_name("x.safetensors"), lora(metadata={"sid_training": "[]"})
    ),
    "a record nested deep": _at(
        SNAPSHOT.with_name("x.safetensors"), lora(metadata={"sid_training": "[" * 100_000})
    ),
    "a record of other fields": _at(
        SNAPSHOT.with_name("x.safetensors"), lora(metadata={"sid_training": '{"evil": 1}'})
    ),
    "a record of other types": _at(
        SNAPSHOT.with_name("x.safetensors"),
        lora(
            metadata={
                "sid_training": '{"training_id": 5, "settings": [], "dataset": "x", "seen": {}, "epoch": "one", "steps": null, "loss": "x", "is_last": 9}'
            }
        ),
    ),
    "a record of a huge epoch": _at(
        SNAPSHOT.with_name("x.safetensors"),
        lora(
            metadata={
                "sid_training": '{"training_id": "t", "settings": {}, "dataset": [], "seen": [], "epoch": 1e999, "steps": 99999999999999999999, "loss": NaN, "is_last": true}'
            }
        ),
    ),
    "a caption that is a folder": _at(f"dataset/{PICK}.txt", Path.mkdir),
    "a caption that is a FIFO": _at(f"dataset/{PICK}.txt", os.mkfifo),
    "a pick that is a folder": _at(f"dataset/{PICK}.png", Path.mkdir),
    "a dataset that is a file": _at("dataset", b"x"),
    "thumbnails are a file": _at("generation-01/thumbnails", b"x"),
    "candidates are a file": _at("generation-01/candidates", b"x"),
    "a generation that is a file": _at("generation-07", b"x"),
    "a generation of 30 digits": _at("generation-" + "9" * 30, Path.mkdir),
    "a generation 0": _at("generation-00", Path.mkdir),
    "two of one number": _at("generation-1", Path.mkdir),
    "a lock that is a folder": _at(".generation.lock", Path.mkdir),
    "a partial file": _at("generation-01/candidates/.sid-partial-x.png", b"half"),
    "a partial folder": _at(".sid-partial-x", Path.mkdir),
    "a sheet of rubbish": _at("generation-01/sheets/x.png", b"x"),
    "a sheet with odd axes": _at(
        "generation-01/sheets/x.png", png(text("sid sheet", '{"axes": 5}'), text("sid", "[]"))
    ),
    "10,000 files": lambda here: [
        (project_folder(here) / "generation-01/candidates" / f"{number:016x}.txt").touch()
        for number in range(10_000)
    ],
    "folders 200 deep": lambda here: (project_folder(here) / "/".join("d" * 200)).mkdir(parents=True),
    "names of no UTF-8": _at("generation-01/candidates/caf\udce9.png", b"x"),
    "names that are raw": _at("generation-01/candidates/\x1b[31m.png", b"x"),
    "a night's report of rubbish": lambda here: (
        (here / "workspace/nights").mkdir(),
        (here / "workspace/nights/x.md").write_bytes(b"\xff"),
    ),
}


def _lose(here: Path) -> None:
    (here / "workspace" / "catalog.sqlite").unlink()


def cases() -> Iterator[Case]:
    """Yield the cases of this door."""
    rng = drawn("workspaces")
    verbs = {
        "status": (("status",), ()),
        "doctor": (("doctor",), ()),
        "doctor --repair": (("doctor", "--repair"), ()),
        "reindex": (("reindex",), ()),
        "reindex from nothing": (("reindex",), (_lose,)),
        "export": (("export", PROJECT, f"{HERE}/out", "--format", "kohya"), ()),
        "grow": (("grow", PROJECT), ()),
        "tags": (("tags", PROJECT), ()),
    }
    main = ["status", "doctor", "reindex", "reindex from nothing"]
    for title, odd in ODD.items():
        for name in (*rng.sample(main, 1), rng.choice(sorted(verbs.keys() - set(main)))):
            yield _case(f"{title}, {name}", verbs[name][0], all_of(*verbs[name][1], odd))
    for title in rng.sample(sorted(PICTURES), 8):
        verb = rng.choice(("doctor", "reindex"))
        yield _case(
            f"a new picture: {title}, {verb}",
            (verb,),
            lambda here, title=title: _at(_NEW, PICTURES[title]())(here),
        )
    for title in rng.sample(sorted(CHANGES), 14):
        yield _case(
            f"a new shot: {title}, reindex",
            ("reindex",),
            _at(_NEW, png(text("sid", json.dumps({**SHOT, **CHANGES[title]})))),
        )
    for title in rng.sample(sorted(CHUNKS), 6):
        yield _case(
            f"a new chunk: {title}, reindex", ("reindex",), _at(_NEW, png(text("sid", CHUNKS[title])))
        )
    for title in rng.sample(sorted(HEADERS), 8):
        verb = rng.choice(("doctor", "reindex"))
        yield _case(
            f"a new LoRA: {title}, {verb}", (verb,), _at(SNAPSHOT.with_name("x.safetensors"), HEADERS[title])
        )
    yield _case("no workspace, doctor", ("doctor",), lambda here: shutil.rmtree(here / "workspace"))
    yield _case(
        "a workspace that is a file, doctor",
        ("doctor",),
        lambda here: (shutil.rmtree(here / "workspace"), (here / "workspace").write_text("x")),
    )
    yield _case(
        "a workspace that is a FIFO, status",
        ("status",),
        lambda here: (shutil.rmtree(here / "workspace"), os.mkfifo(here / "workspace")),
    )
    yield _case("a night's report of rubbish, report", ("report",), ODD["a night's report of rubbish"])


# Folders beside the project that must not keep anybody from it.
_NEIGHBOURS = tuple(
    title
    for title in ODD
    if title.startswith(
        (
            "a project whose",
            "a leftover",
            "a hidden",
            "a name",
            "an empty f",
            "a project without",
            "settings",
            "a file among",
            "a link",
        )
    )
)


def _case(name: str, verb: tuple[str, ...], prepare: Prepare) -> Case:
    return Case("workspaces", name, verb, prepare, exits=_exits(name, verb[0]))


def _exits(name: str, verb: str) -> tuple[int, ...]:
    if verb == "doctor":
        return (0, 1) if name.startswith(_NEIGHBOURS) else (0, 1, 2)
    return (0,) if name.startswith(_NEIGHBOURS) and verb == "status" else (0, 2)
