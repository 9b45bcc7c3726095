"""Choices and wildcards in prompts: determined by the seed, and reported in one line if they cannot be made."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import shot

from bootstrap.errors import UserError
from bootstrap.prompting.choices import Choices

NONE = Choices(())


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    project, workspace = tmp_path / "project", tmp_path / "workspace"
    (workspace / "light").mkdir(parents=True)
    project.mkdir()
    (workspace / "places.txt").write_text("beach\n\n# a comment\nforest, fog\n")
    (workspace / "light" / "soft.txt").write_text("dawn\n")
    (workspace / "hats.txt").write_text("top hat\n")
    (project / "hats.txt").write_text("{red|blue} cap\n")
    (project / "loop.txt").write_text("a __loop__\n")
    (project / "empty.txt").write_text("\n")
    return project, workspace


def test_a_choice_takes_each_of_its_alternatives() -> None:
    texts = {NONE.chosen("woman, ({red|dark blue|green} hat:1.2), window", seed) for seed in range(60)}
    assert texts == {f"woman, ({color} hat:1.2), window" for color in ("red", "dark blue", "green")}
    assert {NONE.chosen("{a|}", seed) for seed in range(20)} == {"a", ""}
    assert {NONE.chosen("{2$$ and $$a|b}", seed) for seed in range(20)} == {"a and b", "b and a"}


def test_wildcards_are_read_from_files_the_projects_first(folders: tuple[Path, Path]) -> None:
    choices = Choices(folders)
    assert {choices.chosen("__places__", seed) for seed in range(30)} == {"beach", "forest, fog"}
    assert {choices.chosen("woman, __hats__", seed) for seed in range(30)} == {
        "woman, red cap",
        "woman, blue cap",
    }
    assert choices.chosen("__light/soft__", 1) == "dawn"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("woman, __place__", r"wildcard __place__: .*did you mean __places__\?"),
        ("__xyzzy__", "known: empty, hats"),
        ("__empty__", "no empty.txt with choices"),
        ("__loop__", "without end"),
        ("{a|${unknown}}", "unknown"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused_in_one_line(
    folders: tuple[Path, Path], text: str, problem: str
) -> None:
    with pytest.raises(UserError, match=problem) as refused:
        Choices(folders).chosen(text, 0)
    assert "\n" not in str(refused.value)


def test_a_shot_keeps_what_was_chosen() -> None:
    template = shot(5, "woman, {red|blue} hat", negative_prompt="{a|b}", added=("{red|blue} hat",))
    chosen = [NONE.of_shot(shot(n, template.prompt, added=template.added)) for n in range(20)]
    assert {result.added for result in chosen} == {("red hat",), ("blue hat",)}
    assert all(result.prompt == f"woman, {result.added[0]}" for result in chosen)
    assert NONE.of_shot(template) == NONE.of_shot(template)
    assert NONE.of_shot(template).id != template.id
    named = NONE.of_shot(shot(1, "woman, {odd|name}"), names={"{odd|name}"})
    assert named == shot(1, "woman, {odd|name}")


@given(st.text(st.sampled_from("ab,{}|_$()[]:<> #/%@!~\\1.=\n"), max_size=40), st.integers(0, 9))
@settings(deadline=None)
def test_any_text_has_its_choices_made_or_is_refused_in_one_line(text: str, seed: int) -> None:
    try:
        first = NONE.chosen(text, seed)
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert NONE.chosen(text, seed) == first


@given(st.text(st.sampled_from("ab ,()[]:<>|#/%$\\\n1._"), max_size=60).filter(lambda text: "__" not in text))
def test_a_text_without_choices_is_unchanged(text: str) -> None:
    assert NONE.chosen(text, 1) == text


def test_many_braces_take_no_time() -> None:
    started = time.monotonic()
    for text in ("{" * 30 + "a|b" + "}" * 30, "{a|b" * 7 + "}" * 7, "{a|{b}" * 40, "{" * 500):
        try:
            NONE.chosen(text, 1)
        except UserError:
            continue
    assert time.monotonic() - started < 20
