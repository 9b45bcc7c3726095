"""The verbs refuse what is beyond a limit in one line, before any work."""

import sys
from pathlib import Path

import pytest
from making import add_published, make_project, open_catalog, png

from bootstrap.catalog import candidates, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.cli import main
from bootstrap.dataset import growth
from bootstrap.errors import UserError
from bootstrap.project.projects import Project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("limits"))


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("set", "apple", "recipe[1].count=1000000"), "less than or equal to 100000"),
        (
            ("set", "apple", "recipe[1].count=100000", "recipe[2].count=100000"),
            "shots in all, 100,000 at most",
        ),
        (("set", "apple", f"drawing.negative_prompt={'(' * 65}"), "64 levels deep"),
        (("set", "apple", f"project.caption={'tag,' * 6000}"), "caption has 20,000 characters at most"),
        (("set", "apple", "training.keep_tokens=1000000"), "less than or equal to 1000"),
        (("candidates", "apple", "--generation", "9" * 30), "--generation"),
        (("reject-unlikely", "apple", "--generation", "9" * 30), "--generation"),
        (("sheet", "apple", "--generation", "9" * 30), "--generation"),
        (("again", "apple", "ab", "--count", "17"), "--count"),
        (("again", "apple", "ab", "--snapshot", "9" * 30), "--snapshot"),
        (("serve", "--max-waiting", "9" * 30), "--max-waiting"),
        (("serve", "--min-picks", "9" * 30), "--min-picks"),
        (("dedupe", "apple", "--count", "301"), "--count"),
        (("papertown", "make", "--stage", "vae", "--samples", "9" * 30), "--samples"),
        (("papertown", "make", "--stage", "vae", "--minutes", "inf"), "--minutes"),
    ],
)
def test_beyond_a_limit_a_verb_says_so(
    made: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    refusal: str,
) -> None:
    before = made.toml.read_text()
    monkeypatch.setattr(sys, "argv", ["sid", "--workspace", str(made.workspace.folder), *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and refusal in said and said.count("\n") == 1
    assert made.toml.read_text() == before


def test_a_bomb_is_refused_at_every_door_for_pictures(
    made: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png(100_000, 100_000, rows=1))
    doors = (("show", str(bomb)), ("redraw", str(bomb)), ("tag", str(bomb)),
             ("new", "bomb", "--image", str(bomb), "--caption", "a"))  # fmt: skip
    for arguments in doors:
        monkeypatch.setattr(sys, "argv", ["sid", "--workspace", str(made.workspace.folder), *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        assert ended.value.code == 2
        assert "far more than 64,000,000 pixels" in capsys.readouterr().err
    original = made.original.read_bytes()
    made.original.write_bytes(bomb.read_bytes())
    monkeypatch.setattr(sys, "argv", ["sid", "--workspace", str(made.workspace.folder), "plan", "apple"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    made.original.write_bytes(original)
    assert ended.value.code == 2
    assert "far more than 64,000,000 pixels" in capsys.readouterr().err


def test_a_caption_is_limited_wherever_it_is_given(made: Project) -> None:
    catalog, long = open_catalog(made), "tag, " * 4001
    (one,) = add_published(made, catalog, 1, 1)
    with pytest.raises(UserError, match="caption has 20,000 characters at most"):
        candidates.set_caption(catalog, made.name, one, long)
    verdicts.decide(catalog, made.name, [one], Verdict.ACCEPT, "tester")
    growth.grow(made, catalog)
    with pytest.raises(UserError, match="caption has 20,000 characters at most"):
        growth.recaption(made, catalog, {one: long})
