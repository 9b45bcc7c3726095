"""Commands that are killed before any of their steps on the disk: the next try ends as an undisturbed one does.

The test tries a few steps of each command, evenly spread; the soak test tries them all.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from bootstrap.catalog import candidates, generations, picks, sheets, trainings, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.dataset import growth
from bootstrap.drawing import sheet_file
from bootstrap.files import TEMPORARY_PREFIX
from bootstrap.lora import kohya
from bootstrap.lora.kohya import LoraModule
from bootstrap.project import identity
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, Workspace
from bootstrap.training import record
from bootstrap.training.record import Record
from tests import making
from tests.upkeep.test_reindex import sign

_ROOT = Path(__file__).parent.parent
_MODULE = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"


class Commands:
    """tests/killed_process.py."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # a fork does not copy other threads
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.killed_process"],
            cwd=_ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, folder: Path, arguments: list[str], step: int = 0) -> dict[str, Any]:
        assert self._process.stdin is not None
        job = {
            "arguments": ["--workspace", str(folder / "workspace"), *arguments],
            "step": step,
            "folder": str(folder),
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    started = Commands()
    yield started
    started.end()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose next growth adds two picks and removes one, with a training, a sheet and a LoRA file."""
    folder = tmp_path_factory.mktemp("before")
    made = making.make_project(folder)
    with closing(making.open_catalog(made)) as catalog:
        ids = making.add_published(made, catalog, 1, 4)
        sign(made, 1, [making.shot(1000 + index) for index in range(4)])
        verdicts.decide(catalog, made.name, ids[:3], Verdict.ACCEPT, "ann")
        growth.grow(made, catalog)
        newer = making.add_published(made, catalog, 2, 3)
        sign(made, 2, [making.shot(2000 + index) for index in range(3)])
        verdicts.undo(catalog, made.name, ids[1])
        verdicts.decide(catalog, made.name, newer[:2], Verdict.ACCEPT, "ann")
        generation = Generation(made, catalog, 1)
        sheet = sheet_file.sheet_for(generation, {"strength": [0.5, 1.0], "snapshot": [2]}, "woman")
        sheet_file.save(making.scene(9, 32), sheet, made)
        sheets.note(catalog, made.name, sheet)
    for epoch in (1, 2):
        add_snapshot(made, epoch)
    return folder


def add_snapshot(made: Project, epoch: int) -> None:
    """Write a snapshot as a training does; the catalog does not know it yet."""
    seed = torch.Generator().manual_seed(epoch)
    down, up = torch.randn(4, 32, generator=seed), torch.randn(32, 4, generator=seed)
    saved = Record(
        "7" * 64, {}, [{"picture": "0" * 64, "caption": "woman", "repeats": 1}], [epoch], epoch, epoch, 0.5, epoch == 2
    )  # fmt: skip
    path = made.generation_folder(1) / "training-77777777" / f"apple-g01-{epoch:06d}.safetensors"
    kohya.write(path, {_MODULE: LoraModule(down, up, 4.0)}, record.to_metadata(saved), torch.float16)


def project_in(folder: Path) -> Project:
    return Workspace(folder / "workspace").project("apple")


def files_in(folder: Path) -> dict[str, str]:
    """Return the hash of each file but the catalog's and the locks; a project's identity is random."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            b"" if path.name == identity.FILE else path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("catalog.sqlite") and not path.name.endswith(".lock")
    }


def in_catalog(folder: Path) -> list[Any]:
    made = project_in(folder)
    with closing(making.open_catalog(made)) as catalog:
        return [
            *((each.number, each.state, each.message) for each in generations.statuses(catalog, made.name)),
            *(
                (each.id, each.state, each.duplicate_of, each.verdict, each.generation)
                for each in candidates.candidates(catalog, made.name, state=None, ranked=True)
            ),
            *picks.picks(catalog, made.name),
            *sheets.of_project(catalog, made.name),
            trainings.of_generation(catalog, made.name, 1),
        ]


def left_over(folder: Path) -> list[str]:
    return [
        path.name
        for path in folder.rglob("*")
        if path.name.startswith((TEMPORARY_PREFIX, ".sid-changing", ".sid-moves", ".tmp"))
    ]


@dataclass(frozen=True)
class Command:
    """A command to kill, and what must hold right after the kill."""

    arguments: Callable[[Path], list[str]]  # for the folder that holds the workspace
    prepare: Callable[[Path], None] = lambda folder: None
    check: Callable[[Path, Path], None] = lambda killed, whole: None
    codes: tuple[int, ...] = (0,)  # of the next try
    tried: int = 8  # steps to kill before, of all


def lose_catalog(folder: Path) -> None:
    for path in (folder / "workspace").glob("catalog.sqlite*"):
        path.unlink()


def check_export(killed: Path, whole: Path) -> None:
    """An export that a trainer could take for a complete one is complete."""
    made = {name: digest for name, digest in files_in(killed).items() if name.startswith("out/")}
    visible = {name: digest for name, digest in made.items() if TEMPORARY_PREFIX not in name}
    if any(name.endswith("/original.png") for name in visible):
        assert visible == {
            name: digest for name, digest in files_in(whole).items() if name.startswith("out/")
        }


COMMANDS = {
    "new": Command(
        lambda folder: ["new", "pear", "--image", str(folder / "original-of-someone.png"), "--caption", "a pear"],
        codes=(0, 2),  # it is made already
    ),
    "set": Command(lambda folder: ["set", "apple", "training.repeats=31", "project.caption=man, hat"]),
    "grow": Command(lambda folder: ["grow", "apple"], codes=(0, 2)),  # there are no new picks any more
    "retag": Command(lambda folder: ["retag", "apple", "--rename", "red apple=green apple", "--add", "hat"]),
    "export to a new folder": Command(
        lambda folder: ["export", "apple", str(folder / "out" / "kohya"), "--format", "kohya"], check=check_export
    ),
    "export to an empty folder": Command(
        lambda folder: ["export", "apple", str(folder / "out"), "--format", "kohya"],
        prepare=lambda folder: (folder / "out").mkdir(),
        check=check_export,
    ),
    "reindex": Command(lambda folder: ["reindex"], prepare=lose_catalog, tried=4),
    "lora convert": Command(lambda folder: ["lora", "convert", *lora(folder), "--to", "diffusers"]),
    "lora resize": Command(lambda folder: ["lora", "resize", *lora(folder), "--rank", "2"]),
}  # fmt: skip


def lora(folder: Path) -> list[str]:
    snapshots = project_in(folder).generation_folder(1) / "training-77777777"
    return [str(snapshots / "apple-g01-000002.safetensors"), str(folder / "loras" / "out.safetensors")]


def kill_and_retry(
    commands: Commands, before: Path, folder: Path, command: Command, tried: int | None
) -> None:
    whole = folder / "whole"
    shutil.copytree(before, whole)
    command.prepare(whole)
    undisturbed = commands.run(whole, command.arguments(whole))
    assert undisturbed["code"] == 0, undisturbed["said"]
    wanted = files_in(whole), in_catalog(whole)
    assert left_over(whole) == []
    count = undisturbed["steps"]
    steps = range(1, count + 1)
    if tried is not None and count > tried:
        steps = sorted({1 + round(index * (count - 1) / (tried - 1)) for index in range(tried)})
    for step in steps:
        killed = folder / str(step)
        shutil.copytree(before, killed)
        command.prepare(killed)
        arguments = command.arguments(killed)
        assert commands.run(killed, arguments, step)["code"] == -signal.SIGKILL
        command.check(killed, whole)
        again = commands.run(killed, arguments)
        assert again["code"] in command.codes, (step, again["said"])
        assert left_over(killed) == [], step
        assert (files_in(killed), in_catalog(killed)) == wanted, step
        shutil.rmtree(killed)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_the_next_try_ends_as_an_undisturbed_one(
    name: str, commands: Commands, before: Path, tmp_path: Path
) -> None:
    kill_and_retry(commands, before, tmp_path, COMMANDS[name], COMMANDS[name].tried)


@pytest.mark.soak
@pytest.mark.parametrize("name", COMMANDS)
def test_a_kill_before_every_single_step(name: str, commands: Commands, before: Path, tmp_path: Path) -> None:
    kill_and_retry(commands, before, tmp_path, COMMANDS[name], None)
