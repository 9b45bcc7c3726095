"""Drive the loop through the `sid` command, as a person in a terminal does."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.cli import main
from bootstrap.project.projects import Project, Workspace

SMALL_TRAINING = {"repeats": 6, "train_batch_size": 1, "epochs": 4, "network_dim": 8, "network_alpha": 8}
RECIPES = """
[[recipe]]
kind = "vary"
count = 4
strength = [0.6, 0.8]
snapshot = [2, 4]

[[recipe]]
kind = "eliminate"
tags = ["holding red apple", "teal wall"]
count = 4
strength = 0.8
snapshot = 4

[[recipe]]
kind = "add"
tags = ["round glasses"]
count = 2
strength = 0.6
snapshot = 4
"""


def in_this_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command line in this process: run("status") -> (exit code, output, errors)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sid", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def sid_command(workspace: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "bootstrap", "--workspace", str(workspace), *arguments]


def sid(workspace: Path, *arguments: str, expect: int = 0) -> str:
    """Run a verb, check its exit code, and return its output."""
    done = subprocess.run(sid_command(workspace, *arguments), capture_output=True, text=True, timeout=280)
    assert done.returncode == expect, (
        f"sid {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout + done.stderr


def candidates(workspace: Path, name: str, *options: str) -> list[dict[str, Any]]:
    return json.loads(sid(workspace, "candidates", name, "--json", *options))


def small_project(workspace: Path, originals: Path, name: str = "badge") -> Project:
    """Make a project whose generation takes seconds: few steps, few pictures, otherwise default settings."""
    caption = (originals / f"{name}.txt").read_text()
    sid(workspace, "new", name, "--image", str(originals / f"{name}.png"), "--caption", caption)
    project = Workspace(workspace).project(name)
    text = project.toml.read_text().split("# What to draw.")[0] + RECIPES
    changes = {**SMALL_TRAINING, "steps": 4, "batch_size": 2}
    for key, value in changes.items():
        text, changed = re.subn(rf"(?m)^{key} = [^ \n]+", f"{key} = {value}", text)
        assert changed == 1, key
    project.toml.write_text(text)
    return project
