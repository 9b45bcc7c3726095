"""Choices and wildcards in prompts: determined by the seed, and reported in one line if they cannot be made."""

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import shot

from bootstrap import captions
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
    name = shot(1, captions.as_prompt(["woman", "{odd|name}", "__odd__", "a {b", "c} d"]))
    assert NONE.of_shot(name) == name


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


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("__twice1__", "2,000 steps and 100,000 characters at most, and these multiply to more"),
("${a={x|y}}" + "".join(f"${{{new}=${{{old}}} ${{{old}}}}}" for old, new in pairwise("abcdefghijklm")) + "${m}",
         "2,000 steps"),
        ("{a|b}" * 301, "300 braces at most, and here it has 301"),
        ("__long__", "20,000 characters at most"),
        ("__deep__", "8 levels deep at most"),
        ("{2$$__many__}", "a wildcard of 2,000 lines at most"),
        ("{" + "9" * 400 + "::a|b}", "cannot be made"),
    ],
)  # fmt: skip
def test_choices_that_multiply_are_refused(tmp_path: Path, text: str, refusal: str) -> None:
    for number in range(1, 40):
        (tmp_path / f"twice{number}.txt").write_text(f"__twice{number + 1}__ and __twice{number + 1}__\n")
    (tmp_path / "twice40.txt").write_text("end\n")
    (tmp_path / "long.txt").write_text("a" * 20_001 + "\n")
    (tmp_path / "deep.txt").write_text("{" * 9 + "a|b" + "}" * 9 + "\n")
    (tmp_path / "many.txt").write_text("\n".join(map(str, range(2001))) + "\n")
    with pytest.raises(UserError, match=refusal):
        Choices((tmp_path,)).chosen(text, 1)


def test_one_line_of_a_long_wildcard_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("\n".join(f"line {number}" for number in range(5000)) + "\n")
    assert Choices((tmp_path,)).chosen("__many__", 1).startswith("line ")


def test_a_wildcard_folder_beyond_the_limits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "huge").mkdir()
    with (tmp_path / "huge" / "a.txt").open("wb") as file:
        file.truncate(10_000_001)  # takes no space on the disk
    with pytest.raises(UserError, match=r"a\.txt: it has more than 10,000,000 bytes"):
        Choices((tmp_path / "huge",)).chosen("__a__", 1)
    (tmp_path / "doubled").mkdir()
    levels = [f"l{n}: &l{n} {{a: *l{n - 1}, b: *l{n - 1}}}" for n in range(1, 40)]
    (tmp_path / "doubled" / "a.yaml").write_text("\n".join(["l0: &l0 {x: [red]}", *levels]))
    with pytest.raises(UserError, match="aliases"):
        Choices((tmp_path / "doubled",)).chosen("__l0/x__", 1)


def test_links_to_a_folder_above_and_structured_files_are_read(tmp_path: Path) -> None:
    inner = tmp_path / "light"
    inner.mkdir()
    (inner / "soft.txt").write_text("dawn\n")
    (inner / "named.yaml").write_text("hats: [top hat]\n")
    (inner / "more.json").write_text('{"caps": {"red": ["red cap"]}}')
    for name in ("a", "b", "c"):  # followed again and again, they would be 3 ** 40 folders
        (inner / name).symlink_to(tmp_path)
    choices = Choices((tmp_path,))
    assert choices.chosen("__light/soft__ __light/hats__ __light/caps/red__", 1) == "dawn top hat red cap"


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (
            "__places__ <lora:Gothic_Style__Pony:1>",
            {f"{x} <lora:Gothic_Style__Pony:1>" for x in ("beach", "fog")},
        ),
        ("<lora:{a|b}:1> <lora:my__places__x:1>", {"<lora:{a|b}:1> <lora:my__places__x:1>"}),
        ('{red|green} shirt, sign "$10 {tacos}"', {f'{x} shirt, sign "$10 tacos"' for x in ("red", "green")}),
        ('{red|green} shirt with "$10"', {'red shirt with "$10"', 'green shirt with "$10"'}),
        ("__signs__", {"$tephanie", "50% wool", "http://a//b /* c */", r"\{d\}"}),
        ("50% gray {hat|cap}", {"50% gray hat", "50% gray cap"}),
        ("{50% gray|blue} hat", {"50% gray hat", "blue hat"}),
        ("{[hat|crown]|(cap|x:1.2)}", {"[hat|crown]", "(cap|x:1.2)"}),
        ("{[{a|b}::0.5]|c}", {"[a::0.5]", "[b::0.5]", "c"}),
        ("{:(|a}", {":(", "a"}),
        ("{1-2$$ and $$a|b}", {"a", "b", "a and b", "b and a"}),
        ("{2$$, $$a|{b|c}}", {"a, b", "a, c", "b, a", "c, a"}),
        ("{0$$a|b}x", {"x"}),
        (r"\{a|b\} {c|d\|e} \_\_x", {r"\{a|b\} c \_\_x", r"\{a|b\} d\|e \_\_x"}),
        ("^__^ {a|b} foo__bar, >__<", {"^__^ a foo__bar, >__<", "^__^ b foo__bar, >__<"}),
        ("{${color}|x} ${color={red|blue}}", {"red ", "blue ", "x "}),
        ("%{(...:1.2)$${a|b}}", {"(a:1.2)", "(b:1.2)"}),
        ("{~a|b}", {"a", "b"}),
        ("__light/*__, __~named/hats__", {"dawn, top hat", "dawn, cap"}),
    ],
)
def test_what_is_no_choice_stays_and_what_is_one_is_made(tmp_path: Path, text: str, chosen: set[str]) -> None:
    (tmp_path / "places.txt").write_bytes("beach\r\nfog # a comment\r\n".encode("utf-16"))
    (tmp_path / "signs.TXT").write_text("\ufeff$tephanie\n50% wool\nhttp://a//b /* c */\n\\{d\\}\n")
    (tmp_path / "light").mkdir()
    (tmp_path / "light" / "soft.txt").write_text("dawn\n")
    (tmp_path / "named.yaml").write_text("named: {hats: [top hat, cap], version: 2}\n")
    choices = Choices((tmp_path,))
    assert {choices.chosen(text, seed) for seed in range(40)} == chosen


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hat, {red|blue", "character 6: '{red|blue': no `}` closes"),
        ("hat, red|blue} x", "character 14: '} x': no `{` opens"),
        ("{[a|b}]} x", "character 8: '} x': no `{` opens"),
        ("a __places hat", "character 3: '__places hat': a wildcard is __name__"),
        ("places__", "character 7"),
        ("{red::2|blue}", "character 5: '::2|blue}': a weight is a number before"),
        ("{-1::red|blue}", "character 4"),
        ("{red 2$$a|blue}", "character 7: '$$a|blue}': a quantity is a number"),
        ("{@red|blue}", "character 2: '@red|blue}': `!` and `@`"),
        ("__!places__", "character 3: '!places__': `!` and `@`"),
        ("%{red}", "character 1: '%{red}': a wrapper"),
        ("${1=red}", "character 1: '${1=red}': a variable"),
        ("{2$$\u3001$$a|b}", "cannot be parsed"),
        ("{0::a|0::b}", "cannot be made"),
        ("hat, __bad__", "bad.txt, line 3, column 11: '{red|blue': no `}` closes"),
        ("__none__", "the weight of all its lines is 0"),
        ("__odd/list__", "odd.json, odd/list[1]: a choice is a text"),
        ("__odd/malformed__", "odd.json, odd/malformed[0], column 1"),
    ],
)
def test_what_cannot_be_parsed_is_refused_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "places.txt").write_text("beach\n")
    (tmp_path / "bad.txt").write_text("# comment\nhat\n  2::hat, {red|blue\n")
    (tmp_path / "none.txt").write_text("0::hat\n")
    (tmp_path / "odd.json").write_text('{"odd": {"list": ["a", true], "malformed": ["{a"]}}')
    with pytest.raises(UserError) as refused:
        Choices((tmp_path,)).chosen(text, 1)
    assert place in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.txt", "20::hat\n1::turban\n"),
        ("w.txt", "20.5 ::x\n".replace("20.5 ::x", "20.5::hat") + " .5::turban # rare\n"),
        ("w.json", '["20::hat", "turban"]'),
        ("w.yaml", "w: [{text: hat, weight: 20}, turban]\n"),
    ],
)
def test_the_lines_of_a_wildcard_may_have_weights(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    choices = Choices((tmp_path,))
    drawn = [choices.chosen("__w__", seed) for seed in range(120)]
    assert set(drawn) == {"hat", "turban"} and drawn.count("hat") > 95
    assert {choices.chosen("{2$$__w__}", seed) for seed in range(20)} <= {"hat,turban", "turban,hat"}


def test_several_options_are_drawn_by_their_own_weights() -> None:
    drawn = [NONE.chosen("{2$$1::a|8::b|1::c}", seed) for seed in range(300)]
    assert sum("b" in one for one in drawn) > 250
    assert all(len(set(one.split(","))) == 2 for one in drawn)
