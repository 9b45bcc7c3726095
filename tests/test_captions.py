"""Captions are ordered lists of tags."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap import captions
from bootstrap.prompting import parse
from bootstrap.prompting.choices import Choices

# Tags as people write them: any text without commas that is not blank.
# (hypothesis treats `filter(str.split)` as "not empty", and would generate blanks.)
tags = st.text(st.characters(exclude_characters=",，、", exclude_categories=["Cs"])).filter(
    lambda tag: bool(tag.split())
)
tag_lists = st.lists(tags.map(lambda tag: " ".join(tag.split())), max_size=12)
plain_tags = st.from_regex(r"[a-z]{1,8}( [a-z]{1,8})?", fullmatch=True)


@given(st.text())
def test_parsing_gives_clean_tags(text):
    for tag in captions.parse(text):
        assert tag and "," not in tag and tag == " ".join(tag.split())


@given(tag_lists)
def test_join_and_parse_are_inverse(given_tags):
    assert captions.parse(captions.join(given_tags)) == given_tags


@given(tag_lists, st.integers(0, 15), st.randoms(use_true_random=False))
def test_shuffle_keeps_all_tags_and_the_first_in_place(given_tags, keep, rng):
    shuffled = captions.shuffle(given_tags, keep, rng)
    assert sorted(shuffled) == sorted(given_tags)
    assert shuffled[:keep] == given_tags[:keep]


def test_shuffle_changes_the_order_and_repeats_itself_with_the_seed():
    given_tags = [f"tag {number}" for number in range(12)]
    orders = {tuple(captions.shuffle(given_tags, 1, random.Random(seed))) for seed in range(20)}
    assert len(orders) == 20
    again = captions.shuffle(given_tags, 1, random.Random(3))
    assert again == captions.shuffle(given_tags, 1, random.Random(3))
    assert given_tags == [f"tag {number}" for number in range(12)]


@given(st.lists(plain_tags), st.lists(plain_tags))
def test_without_drops_just_those_and_with_added_brings_them_back(given_tags, dropped):
    left = captions.without(given_tags, [tag.upper() for tag in dropped])
    assert left == [tag for tag in given_tags if tag not in dropped]
    again = captions.with_added(left, dropped)
    assert again[: len(left)] == left
    assert set(again) == set(left) | set(dropped)
    assert len(again) == len(left) + len(set(dropped))


@given(st.lists(plain_tags), plain_tags, st.lists(plain_tags, max_size=3))
def test_replaced_keeps_the_place(given_tags, old, new):
    changed = captions.replaced(given_tags, old.title(), captions.join(new))
    expected = [expected_tag for tag in given_tags for expected_tag in (new if tag == old else [tag])]
    assert changed == expected


@pytest.mark.parametrize(
    ("prompt", "tags_found"),
    [
        ("woman, red apple", ["woman", "red apple"]),
        ("woman, (red apple:1.2), hat", ["woman", "red apple", "hat"]),
        ("(woman, red apple:0.9), hat", ["woman", "red apple", "hat"]),
        ("((red apple:1.2), hat:0.9)", ["red apple", "hat"]),
        ("( red apple : .5 )", ["red apple"]),
        ("woman <lora:apple-g01:0.8>, hat", ["woman", "hat"]),
        ("<lora:a:1>,<lora:b:0.5:0.6>,woman", ["woman"]),
        (r"saber \(fate\), (cat \(animal\):1.1)", ["saber (fate)", "cat (animal)"]),
        ("saber (fate), (o)_(o)", ["saber (fate)", "(o)_(o)"]),  # names
        ("woman, [smile], ((white hoodie)), (red apple)", ["woman", "smile", "white hoodie", "red apple"]),
        ("woman, [red scarf:medal:0.5], [hat:3], [cap::0.5]", ["woman", "medal", "hat", "cap"]),
        ("woman, [hat|crown], [a:(b:1.2):0.5], [[c]]", ["woman", "hat crown", "b", "c"]),
        ("woman BREAK city street, hat", ["woman", "city street", "hat"]),
        ("woman, medal AND forest :0.6", ["woman", "medal", "forest"]),
        (r"woman, \m/, ratio 16:\9, a \| b", ["woman", "m/", "ratio 16:9", "a | b"]),
        ("{2$$ and $$red|3::blue} hat, __places__", ["red blue hat", "places"]),  # from another tool
        ("woman，hat、cap", ["woman", "hat", "cap"]),
        ("ratio 16:9, 3:2", ["ratio 16:9", "3:2"]),
        ("<3, a<b", ["<3", "a<b"]),
        ("", []),
    ],
)
def test_a_prompt_becomes_a_caption(prompt, tags_found):
    assert captions.of_prompt(prompt) == tags_found


@given(st.lists(plain_tags))
def test_a_prompt_of_plain_tags_is_the_caption(given_tags):
    assert captions.of_prompt(captions.join(given_tags)) == given_tags


SYNTAX = st.lists(
    st.sampled_from(
        [
            *"ab(),:<>|[]{}\\_$%#.1 ，",
            "AND",
            "BREAK",
            ":0.5]",
            ":1.2)",
            "<lora:x:1>",
            "__a__",
            "hat",
            "$$",
            "::",
            "\\(",
        ]
    ),
    max_size=30,
).map("".join)


@given(SYNTAX)
def test_the_tags_of_a_prompt_are_words_that_a_caption_may_have(prompt):
    found = captions.of_prompt(prompt)
    assert captions.read(captions.join(found)) == found


@given(SYNTAX)
def test_a_caption_in_a_prompt_means_its_words(text):
    try:
        words = captions.read(text)
    except ValueError as error:
        assert "has only words" in str(error) and "\n" not in str(error)
        return
    if not words:
        return
    prompt = captions.as_prompt(words)
    assert captions.of_prompt(prompt) == words
    # ... for AUTOMATIC1111's own reading too, whatever the recipe says behind it.
    left, networks = parse.extra_networks(prompt)
    (part,) = parse.parts(left)
    assert (networks, part.weight) == ([], 1.0)
    first, second = parse.schedule(part.text + ", [hat:medal:0.5]", 10)
    assert [_words(first.text), _words(second.text)] == [
        captions.join([*words, "hat"]),
        captions.join([*words, "medal"]),
    ]
    assert Choices(()).chosen(prompt, 1) == prompt


def _words(text):
    (span,) = parse.attention(text)
    assert span.weight == 1.0
    return span.text


@pytest.mark.parametrize(
    ("caption", "instead"),
    [
        ("(woman:1.2), red apple", "woman, red apple"),
        ("(woman, red apple:1.2)", "woman, red apple"),
        ("woman, ((white hoodie))", "woman, white hoodie"),
        ("woman, <lora:ink:0.8>, red apple", "woman, red apple"),
        ("woman, [red scarf:medal:0.5]", "woman, medal"),
        ("woman, [hat|crown]", "woman, hat crown"),
        ("woman BREAK city", "woman, city"),
        ("SALT AND PEPPER sign", "SALT, PEPPER sign"),
        ("woman, medal AND forest :0.6", "woman, medal, forest"),
        ("woman, {red|blue} hat", "woman, red blue hat"),
        ("woman, __places__", "woman, places"),
        (r"\(woman:1.2\)", "woman"),
    ],
)
def test_prompt_syntax_in_a_caption_is_refused_with_its_words(caption, instead):
    with pytest.raises(ValueError, match="has prompt syntax") as refused:
        captions.read(caption)
    assert f"write '{instead}'" in str(refused.value)
    assert captions.read(instead) == captions.parse(instead)


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        (r"woman, zoro \(one piece\), a \[b", ["woman", "zoro (one piece)", "a [b"]),
        (r"|_|, :3, :(, >_<, ^__^, \m/, (o)_(o), <3, ratio 16:9", None),
        ("saber (fate), [red] bow, (x), [b: c], {x}", None),
        ("rock and roll, re:zero, #1, 50%, $5, saber (fate) (alter)", None),
    ],
)
def test_names_with_signs_are_words(caption, words):
    assert captions.read(caption) == (words or caption.split(", "))


@given(st.text(alphabet="ab(),:<>.1\\ []", max_size=40))
def test_of_prompt_always_ends_in_clean_tags(prompt):
    for tag in captions.of_prompt(prompt):
        assert tag and "," not in tag


def test_the_length_of_a_caption_is_limited():
    captions.check_length("a" * 20_000, "a caption")
    with pytest.raises(ValueError, match="a caption has 20,000 characters at most, and here it has 20,001"):
        captions.check_length("a" * 20_001, "a caption")


def test_brackets_nested_without_end_are_left_in_a_few_rounds():
    deep = "(" * 5000 + "a" + ":1.1)" * 5000
    assert captions.of_prompt(deep) == ["(" * 4680 + "a" + ":1.1)" * 4680]


@given(SYNTAX)
def test_a_prompt_is_split_outside_of_its_brackets_only(prompt):
    assert captions.parse(captions.join(captions.parse_prompt(prompt))) == captions.parse(prompt)


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("woman, (smile, hat:1.2), {a, b|c,b} x", ["woman", "(smile, hat:1.2)", "{a, b|c, b} x"]),
        ("a), (b, c", ["a)", "(b", "c"]),
        (r"\(a, b\), [c, (d, e], f", [r"\(a", r"b\)", "[c, (d, e]", "f"]),
        (":(, hat, :)", [":(, hat, :)"]),
    ],
)
def test_brackets_and_braces_of_a_prompt_stay_whole(prompt, parts):
    assert captions.parse_prompt(prompt) == parts
