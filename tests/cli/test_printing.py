"""What a verb prints is one printable line each, whatever names, captions, metadata and files hold."""

import ast
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from making import add_drawn, bring, make_project, scene
from making import shot as made_shot
from PIL import PngImagePlugin
from safetensors.numpy import save_file

from bootstrap.catalog import Catalog
from bootstrap.cli import main
from bootstrap.drawing import infotext
from bootstrap.project.projects import Project
from tests.test_house import ROOT, SOURCES

STEERING = "red\x1b[2J apple\u202e\x07\n\r\x9b"
Sid = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sid(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Sid]:
    """Run the command line in this process; return the exit code and what it printed on output and error."""
    factory = logging.getLogRecordFactory()

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sid", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    yield run
    logging.setLogRecordFactory(factory)


def check(printed: str) -> None:
    for line in printed.splitlines():
        assert not any(sign in line for sign in "\x1b\x07\u202e\x9b\r"), repr(line)


def picture(path: Path, text: str, key: str = infotext.PARAMETERS_KEY) -> Path:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt(key, text)
    scene(1, 32).save(path, pnginfo=chunks)
    return path


def test_status_and_candidates(sid: Sid, tmp_path: Path) -> None:
    made: Project = make_project(tmp_path)
    text = made.toml.read_text()
    made.toml.write_text(text.replace('caption = "woman', 'caption = "\\u001B[2J\\u202E ' + "x" * 2000))
    catalog = Catalog(made.workspace.catalog_url)
    add_drawn(made, catalog, 1, [scene(1)], [made_shot(1, f"woman, {STEERING}")])
    bring(made, catalog, 1, "failed", STEERING)
    catalog.close()
    for arguments in (("status",), ("candidates", made.name, "--all")):
        code, out, err = sid("--workspace", str(made.workspace.folder), *arguments)
        assert code == 0, err
        check(out)
        assert "\\x1b[2J" in out and max(map(len, out.splitlines())) <= 500
    code, out, _ = sid("--workspace", str(made.workspace.folder), "candidates", made.name, "--all", "--json")
    assert json.loads(out)[0]["shot"]["prompt"] == f"woman, {STEERING}"  # JSON has the text itself


def test_show_and_inspect(sid: Sid, tmp_path: Path) -> None:
    fields = f"Steps: 4, Sampler: Euler, Odd: {STEERING.splitlines()[0]}, Size: 64x64, Long: {'y' * 20_000}"
    path = picture(tmp_path / "a.png", f"woman {STEERING}\n{fields}")
    code, out, _ = sid("show", str(path))
    check(out)
    assert code == 0 and "\\x1b[2J" in out and max(map(len, out.splitlines())) < 10_200
    code, out, _ = sid("show", str(path), "--json")
    check(out)
    assert code == 0 and json.loads(out)["prompt"] == infotext.read(infotext.text_of(path) or "").prompt
    lora = tmp_path / "a.safetensors"
    stem = "lora_unet_down_blocks_0_attentions_0_proj_in"
    tensors = {f"{stem}.lora_{part}.weight": np.ones((2, 2), np.float32) for part in ("down", "up")}
    save_file(tensors, lora, {STEERING: STEERING, "long": "z" * 9999})
    code, out, err = sid("lora", "inspect", str(lora))
    assert code == 0, err
    check(out)
    assert "long: " + "z" * 199 + "…" in out


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("Steps", "0", "Steps: 0"), ("Steps", "9" * 30, "Steps: 999"), ("CFG scale", "nan", "CFG scale: nan"),
        ("Clip skip", "99", "Clip skip: 99"), ("Clip skip", "0", "Clip skip: 0"), ("Seed", str(2**65), "Seed: 368"),
        ("Seed", "-1", "Seed: -1"), ("Size", "0x0", "Size: 0x0"), ("Size", "-64x64", "Size: -64x64"),
        ("Size", "99999999x99999999", "Size: 99999999x99999999"), ("Size", "64", "Size: 64"),
    ],
)  # fmt: skip
def test_numbers_that_no_setting_has(sid: Sid, tmp_path: Path, name: str, value: str, named: str) -> None:
    fields = {"Steps": "4", "Sampler": "Euler", "CFG scale": "7", "Seed": "5", "Size": "64x64", name: value}
    text = "woman\n" + ", ".join(f"{key}: {number}" for key, number in fields.items())
    path = picture(tmp_path / "a.png", text)
    code, out, _ = sid("show", str(path))
    assert code == 0 and f"it cannot be redrawn: picture {path}: its infotext says {named}" in out
    code, out, err = sid("--workspace", str(tmp_path / "workspace"), "redraw", str(path))
    assert (code, out, err.count("\n")) == (2, "", 1) and named in err


@pytest.mark.parametrize(
    "text", ["[" * 900 + "]" * 900, "[]", "7", '{"steps": 1e999}', "{", '{"prompt": "\\ud800"}', "\u202e\x1b"]
)
def test_a_damaged_shot_is_one_line(sid: Sid, tmp_path: Path, text: str) -> None:
    path = picture(tmp_path / "a.png", text, infotext.SHOT_KEY)
    for verb in ("show", "redraw"):
        code, out, err = sid("--workspace", str(tmp_path / "workspace"), verb, str(path))
        check(err)
        assert (code, out, err.count("\n")) == (2, "", 1) and "its shot cannot be read" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "a\x1b[2Jb\nc\u202e.png"),
        ("show", "x" * 200 + "\udcff.png"),
        ("accept", "a\x1b[2J", "b"),
        ("--workspace", "w\u202e", "status", "nobody"),
        ("set", "apple", "a" * 5000 + "\x1b"),
        ("no\x1bverb",),
        ("lora", "inspect", "a" * 100 + "\n\x07.ckpt"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(
    sid: Sid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = sid(*arguments)
    check(err)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert len(err) <= 510


def test_a_night_s_report(sid: Sid, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "2026-01-01-010000.md").write_text(f"# {STEERING}\n| a |\n", "utf-8")
    code, out, _ = sid("--workspace", str(tmp_path), "report")
    check(out)
    assert code == 0 and "\\x1b[2J" in out and "\n| a |\n" in out
    (tmp_path / "reports" / "2026-01-02-010000.md").write_bytes(b"\xff")
    code, _, err = sid("--workspace", str(tmp_path), "report")
    assert code == 2 and "not UTF-8" in err and err.count("\n") == 1


def test_verbs_print_through_one_place_only() -> None:
    found = []
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("bootstrap/papertown/") or name == "bootstrap/cli/common.py":
            continue  # papertown's makers print their own figures
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "typer.echo", "click.echo"):
                found.append(f"{name}:{node.lineno}")
    assert not found
