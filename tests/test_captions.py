"""Captions are ordered lists of tags."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap import captions

# Tags as people write them: any text without commas that is not blank.
# (hypothesis treats `filter(str.split)` as "not empty", and would generate blanks.)
tags = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"])).filter(
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
        ("saber (fate), [hat]", ["saber (fate)", "[hat]"]),  # no weights: names
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
    assert captions.of_prompt(deep) == ["(" * 4936 + "a" + ":1.1)" * 4936]
