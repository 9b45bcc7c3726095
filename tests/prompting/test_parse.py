"""The prompt syntax: every prompt that AUTOMATIC1111 accepts has the same meaning here."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.prompting.parse import (
    CHUNK_END,
    ExtraNetwork,
    Part,
    Scheduled,
    Span,
    attention,
    check,
    extra_networks,
    parts,
    schedule,
    without_comments,
)

PROMPTS = st.text(alphabet="ab ,:|.()[]<>\\0159\nBREAKND", max_size=60)


def spans(text: str) -> list[tuple[str, float]]:
    return [(span.text, round(span.weight, 4)) for span in attention(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("", 1.0)]),
        ("red apple", [("red apple", 1.0)]),
        ("(red)", [("red", 1.1)]),
        ("((red))", [("red", 1.21)]),
        ("[red]", [("red", 0.9091)]),
        ("(red:1.3) apple", [("red", 1.3), (" apple", 1.0)]),
        ("(red :  0.5 )", [("red ", 0.5)]),
        ("(red:-1)", [("red", -1.0)]),
        ("((red:1.5) apple)", [("red", 1.65), (" apple", 1.1)]),
        ("(a [b] c)", [("a ", 1.1), ("b", 1.0), (" c", 1.1)]),
        (r"saber \(fate\)", [("saber (fate)", 1.0)]),
        (r"a\\b \[c\]", [("a\\b [c]", 1.0)]),
        ("(never closed", [("never closed", 1.1)]),
        ("[never closed", [("never closed", 0.9091)]),
        ("closed) twice]", [("closed) twice]", 1.0)]),
        ("ratio 3:4 (a:b:1.2)", [("ratio 3:4 ", 1.0), ("a:b", 1.2)]),
        ("a:1.2)", [("a:1.2)", 1.0)]),
        ("(a:1..2)", [("a:1..2", 1.1)]),
        ("a BREAK b", [("a", 1.0), ("BREAK", -1.0), ("b", 1.0)]),
        ("a BREAK BREAK b", [("a", 1.0), ("BREAK", -1.0), ("", 1.0), ("BREAK", -1.0), ("b", 1.0)]),
        ("(a) BREAK(b)", [("a", 1.1), ("", 1.0), ("BREAK", -1.0), ("", 1.0), ("b", 1.1)]),
        ("(a BREAK b)", [("a", 1.1), ("BREAK", -1.1), ("b", 1.1)]),  # an ordinary word, as in AUTOMATIC1111
        ("BREAKFAST", [("BREAKFAST", 1.0)]),
    ],
)
def test_attention(text: str, expected: list[tuple[str, float]]) -> None:
    assert spans(text) == expected


@given(PROMPTS)
def test_attention_takes_any_text_and_joins_neighbours_of_one_weight(text: str) -> None:
    result = attention(text)
    assert result
    assert all(span.weight != following.weight for span, following in pairwise(result))


@given(st.text(alphabet="ab ,0.", max_size=30))
def test_text_without_syntax_is_one_span(text: str) -> None:
    assert attention(text) == [Span(text, 1.0)]


@given(st.text(st.characters(exclude_characters="\0"), max_size=30))
def test_escaped_text_is_itself(text: str) -> None:
    for mark in "\\()[]":
        text = text.replace(mark, "\\" + mark)
    plain = "".join(span.text for span in attention(text) if span != CHUNK_END)
    if ":" not in text and "BREAK" not in text:
        assert plain == text.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [(10, "a")]),
        ("[a:b:0.5]", [(5, "a"), (10, "b")]),
        ("[a:b:3]", [(3, "a"), (10, "b")]),
        ("[b:3] c", [(3, " c"), (10, "b c")]),
        ("[a::0.25] c", [(2, "a c"), (10, " c")]),
        ("[:b:0.5]", [(5, ""), (10, "b")]),
        ("[a:b:20]", [(10, "a")]),
        ("[a:b:0]", [(10, "b")]),
        ("[a:b:1.0]", [(10, "a")]),
        ("[a|b]", [(n, "ab"[(n - 1) % 2]) for n in range(1, 11)]),
        ("x [[a:b:2]:c:5] y", [(2, "x a y"), (5, "x b y"), (10, "x c y")]),
        ("[(red:1.2) ball:blue ball:0.5]", [(5, "(red:1.2) ball"), (10, "blue ball")]),
        ("[a ((b:1.1):1.2):c:0.5]", [(5, "a ((b:1.1):1.2)"), (10, "c")]),
        ("[a [b]:c:0.5]", [(5, "a [b]"), (10, "c")]),
        ("([a:b:0.5]:1.2)", [(5, "(a:1.2)"), (10, "(b:1.2)")]),
        ("[a]", [(10, "[a]")]),
        ("[a:b]", [(10, "[a:b]")]),
        ("[a:b:c]", [(10, "[a:b:c]")]),
        ("[a:b:0.5", [(10, "[a:b:0.5")]),
        ("[a:b|c:0.5]", [(10, "[a:b|c:0.5]")]),
        ("[a:b:5.]", [(10, "a")]),
        ("[a:b:1e1]", [(10, "a")]),
        ("[a:b:-1]", [(10, "b")]),
        ("[a:b: 3 ]", [(3, "a"), (10, "b")]),
        ("[a : b : 3]", [(3, "a "), (10, " b ")]),
        ("[a:b:+2]", [(2, "a"), (10, "b")]),
        ("[fe|]male", [(n, ["female", "male"][(n - 1) % 2]) for n in range(1, 11)]),
        ("[a|a]", [(10, "a")]),
        ("[[a|b]:c:2]", [(1, "a"), (2, "b"), (10, "c")]),
        ("[[a:b:2]|c]", [(1, "a"), *((n, "cb"[(n - 1) % 2 == 0]) for n in range(2, 11))]),
        # Not schedules in AUTOMATIC1111 either: stray colons or unclosed brackets inside, `|` outside brackets.
        ("[a:b:c:0.5]", [(10, "[a:b:c:0.5]")]),
        ("[(a:b:1.2):c:3]", [(10, "[(a:b:1.2):c:3]")]),
        ("[(a:c:3]", [(10, "[(a:c:3]")]),
        ("[a:b:3] | c", [(10, "[a:b:3] | c")]),
        ("(cat|dog), [a:b:3]", [(10, "(cat|dog), [a:b:3]")]),
        ("[a:b:3]\\", [(10, "[a:b:3]\\")]),
        ("a ] ) : [b:3]", [(3, "a ] ) : "), (10, "a ] ) : b")]),
        (r"\[a:b:0.5\]", [(10, r"\[a:b:0.5\]")]),
        (r"[a\]:b:0.5]", [(5, r"a\]"), (10, "b")]),
    ],
)
def test_schedules(text: str, expected: list[tuple[int, str]]) -> None:
    assert schedule(text, 10) == [Scheduled(end, scheduled) for end, scheduled in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a:b:1.5]", [(4, "a"), (8, "b")]),
        ("[a:b:0.5]", [(8, "b")]),
        ("[a:b:1.0]", [(8, "b")]),
        ("[a:b:2.0]", [(8, "a")]),
        ("[a:b:23]", [(3, "a"), (8, "b")]),
        ("[a:b:20]", [(8, "b")]),
        ("[a|b]", [(n, "ab"[(n - 1) % 2]) for n in range(1, 9)]),
    ],
)
def test_in_the_second_pass_of_hires_schedules_count_from_the_first(
    text: str, expected: list[tuple[int, str]]
) -> None:
    assert schedule(text, 8, before=20) == [Scheduled(end, scheduled) for end, scheduled in expected]


@given(PROMPTS, st.integers(1, 30))
def test_a_schedule_covers_all_steps_in_order(text: str, steps: int) -> None:
    ends = [scheduled.end for scheduled in schedule(text, steps)]
    assert ends == sorted(set(ends)) and ends[-1] == steps and ends[0] >= 1


@given(st.text(alphabet="ab ,:()]\\0.", max_size=40))
def test_text_without_an_open_bracket_is_not_scheduled(text: str) -> None:
    assert schedule(text, 7) == [Scheduled(7, text)]


@pytest.mark.parametrize("text", ["[" * 4000, "[(" * 2000, "[a|" * 500 + "]" * 500, "(" * 5000])
def test_deep_nesting_is_parsed(text: str) -> None:
    assert schedule(text, 3)[-1].end == 3
    assert attention(text)


def test_and_combines_weighted_prompts() -> None:
    assert parts("a cat") == [Part("a cat", 1.0)]
    assert parts("a cat AND a dog :1.5 AND x:-.5") == [
        Part("a cat", 1.0),
        Part(" a dog", 1.5),
        Part(" x", -0.5),
    ]
    assert parts("a (cat:1.2)") == [Part("a (cat:1.2)", 1.0)]
    assert parts("SANDY AND\nANDY") == [Part("SANDY", 1.0), Part("\nANDY", 1.0)]


@given(PROMPTS)
def test_parts_take_any_text(text: str) -> None:
    assert len(parts(text)) >= 1


def test_extra_networks_are_removed_from_the_text() -> None:
    text, networks = extra_networks("a <lora:anna-g01:0.8> b<lora:x:te=0.5:unet=1><hypernet:h>")
    assert text == "a  b"
    assert networks == [
        ExtraNetwork("lora", ("anna-g01", "0.8"), {}),
        ExtraNetwork("lora", ("x",), {"te": "0.5", "unet": "1"}),
        ExtraNetwork("hypernet", ("h",), {}),
    ]
    assert extra_networks("1 < 2 <>") == ("1 < 2 <>", [])


def test_a_hash_sign_begins_a_comment() -> None:
    assert without_comments("a, b") == "a, b"
    assert without_comments("# the first line\na, # one\n b #two # three") == "a, \n b "


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("a" * 20_001, "20,000 characters at most, and here it has 20,001 .it begins with 'aaaa"),
        ("(" * 65, r"64 levels deep at most; '\(' at character 65 is deeper"),
        ("a, [(b" * 33 + ")]" * 33, r"64 levels .* '\[\(b\)\].*' at character 196 is deeper"),
        ("a BREAK " * 101, "100 BREAK at most; .BREAK. at character 803"),
        ("a AND " * 101, "100 AND at most"),
        ("<lora:a:1>" * 101, "100 extra networks at most; '<lora:a:1>' at character 1001"),
        (f"(a:{'9' * 400})", "40 digits at most; '9999"),
    ],
)
def test_a_prompt_beyond_a_limit_is_refused_with_its_place(text: str, refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        check(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 20_000,
        "(a" * 64 + ")" * 64,
        "(a)[b]" * 3000,
        r"\(" * 6000,
        "a BREAK " * 100,
        "a AND " * 100,
        "<lora:a:1>" * 100,
    ],
)
def test_a_prompt_within_the_limits_is_parsed(text: str) -> None:
    check(text)
    assert attention(text) and parts(text) and schedule(text, 3)
