"""Whatever a user does, nothing is asked of other machines."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.drawing import infotext
from bootstrap.files import sha256_of_text
from bootstrap.models import specs
from tests.guard import network_guard
from tests.making import scene
from tests.making import shot as made_shot
from tests.test_faults import small_project

pytestmark = pytest.mark.slow

# Each line is a verb; one process does all, because importing torch takes most of the time.
_VERBS = """
import sys
from bootstrap.cli import main
from bootstrap.cli.main import app
main._load_verbs()
for line in sys.stdin:
    expected, *arguments = line.rstrip("\\n").split("\\t")
    code = 0
    try:
        app(["--workspace", sys.argv[1], *arguments], prog_name="sid", standalone_mode=False)
    except Exception as error:
        code = 2 if type(error).__name__ == "UserError" else 1
        print(f"{arguments[0]}: {error}")
    assert code == int(expected), (arguments, code)
import onnxruntime  # as diffusers does where it is installed
"""
_ROOT = Path(__file__).parent.parent


def stranger(path: Path, hub_id: str) -> Path:
    """Write a picture that says that it was drawn with a model of a hub."""
    shot = made_shot(
        1, width=64, height=64, steps=1, loras=(), base_model=hub_id, base_model_hash=sha256_of_text(hub_id)
    )
    infotext.save_png(scene(1, 64), path, shot, infotext.write(shot, hub_id, {}))
    return path


def in_cache(cache: Path, hub_id: str) -> None:
    """Put Paper Town into the cache of the hub's downloads under another name."""
    folder = cache / f"models--{hub_id.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("a" * 40)
    shutil.copytree(specs.EMBEDDED_FOLDER / "papertown", folder / "snapshots" / ("a" * 40))


def test_the_verbs_ask_nobody(tmp_path: Path, originals: Path) -> None:
    """From a picture to picks, and pictures of a stranger that name models of a hub."""
    workspace, home, record = tmp_path / "workspace", tmp_path / "home", tmp_path / "asked.txt"
    home.mkdir()
    absent, cached = (stranger(tmp_path / f"{name}.png", f"someone/{name}") for name in ("absent", "cached"))
    in_cache(home / ".cache" / "huggingface" / "hub", "someone/cached")
    small_project(workspace, originals)
    verbs: list[tuple[str | Path, ...]] = [
        ("0", "new", "crown", "--image", originals / "crown.png", "--caption", "woman, crown"),
        ("0", "plan", "badge"),
        ("0", "run", "badge"),
        ("0", "candidates", "badge"),
        ("0", "tag", originals / "badge.png"),
        ("0", "status"),
        ("0", "doctor"),
        ("0", "show", absent),
        ("0", "redraw", cached, "--output", tmp_path / "redrawn.png"),
        ("2", "redraw", absent, "--output", tmp_path / "none.png"),
    ]
    environment = {**os.environ, "HOME": str(home), "HF_HOME": str(home / ".cache" / "huggingface")}
    told = subprocess.run(
        [sys.executable, "-c", _VERBS, str(workspace)],
        input="".join("\t".join(map(str, verb)) + "\n" for verb in verbs), capture_output=True, text=True,
        cwd=_ROOT, timeout=280, env=network_guard.watched(environment, record),
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert network_guard.asked(record) == []
    assert "base model 'someone/absent'" in told.stdout.splitlines()[-1]
    # What the audit cannot see: with its telemetry on, ONNX Runtime gives the machine an id, and looks its host up.
    assert not (home / ".cache" / "Microsoft").exists()


def test_a_watched_process_is_refused_what_it_asks(tmp_path: Path) -> None:
    """The guard itself: a name that is looked up, and a connection, are recorded, also in a child process."""
    record = tmp_path / "asked.txt"
    code = """
import socket, subprocess, sys
try:
    socket.getaddrinfo("hub.example", 443)
except OSError:
    if len(sys.argv) == 1:
        subprocess.run([sys.executable, "-c", sys.stdin.read(), "child"], check=True)
"""
    subprocess.run(
        [sys.executable, "-c", code], input=code, text=True, check=True,
        env=network_guard.watched(dict(os.environ), record),
    )  # fmt: skip
    assert network_guard.asked(record) == ["-c: socket.getaddrinfo 'hub.example'"] * 2
