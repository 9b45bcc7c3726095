"""What the pages are put together from: text stays text, tags keep their places, times read well."""

import pytest

from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import GenerationState
from bootstrap.shots import Shot
from review_app.components import facts
from review_app.components.markup import Markup, element, plain
from review_app.components.progress import duration, how_far, share, stations

CAPTION = ["woman", "smile", "red apple", "window"]


def shot(prompt: str, **changes: object) -> Shot:
    values: dict = {
        "prompt": prompt, "negative_prompt": "", "seed": 1, "steps": 20, "sampler": "Euler", "cfg_scale": 7.5,
        "width": 128, "height": 64, "base_model": "papertown", "base_model_hash": "0" * 64, "loras": (),
        "recipe": "vary",
    }  # fmt: skip
    return Shot(**{**values, **changes})


def test_content_and_attributes_are_escaped() -> None:
    evil = '"><img src=x onerror=alert(1)>'
    assert element("b", evil, title=evil) == (
        '<b title="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;">&quot;&gt;&lt;img src=x onerror=alert(1)&gt;</b>'
    )
    assert element("ul", element("li", "a & b")) == "<ul><li>a &amp; b</li></ul>"
    assert isinstance(element("li", "a"), Markup)


def test_plain_text_has_no_markdown_left() -> None:
    assert plain("*a* [b](c) <d>\n:red[e] $f$") == r"\*a\* \[b\]\(c\) \<d\> \:red\[e\] \$f\$"


def test_an_eliminated_tag_stands_where_it_stood() -> None:
    marked = facts.marked_tags(shot("woman, red apple", eliminated=("window", "smile")), CAPTION)
    assert marked == [
        ("woman", facts.KEPT),
        ("smile", facts.ELIMINATED),
        ("red apple", facts.KEPT),
        ("window", facts.ELIMINATED),
    ]


def test_the_first_tag_can_be_eliminated_and_a_replaced_one_is_both() -> None:
    replaced = shot("man, smile, red apple, window", eliminated=("Woman",), added=("man",))
    assert facts.marked_tags(replaced, CAPTION)[:2] == [("Woman", facts.ELIMINATED), ("man", facts.ADDED)]


def test_an_eliminated_tag_that_the_caption_does_not_have_comes_last() -> None:
    marked = facts.marked_tags(shot("woman", eliminated=("hat",)), CAPTION)
    assert marked == [("woman", facts.KEPT), ("hat", facts.ELIMINATED)]


def test_facts_leave_out_what_is_empty() -> None:
    names = [name for name, _ in facts.shot_facts(shot("woman"))]
    assert "Negative prompt" not in names
    assert ("CFG scale", "7.5") in facts.shot_facts(shot("woman"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "a few seconds"),
        (31, "about 30 s"),
        (89, "about 90 s"),
        (100, "about 2 min"),
        (7200, "about 2.0 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def status(**changes: object) -> GenerationStatus:
    values: dict = {
        "number": 1, "state": GenerationState.TRAINING, "stage": "train", "done": 40, "total": 120,
        "unit": "steps", "rate": 1.25,
        "message": "", "seconds_since_update": 1.0, "candidates": 0, "duplicates": 0, "published": 0, "undecided": 0,
        "accepted": 0, "rejected": 0,
    }  # fmt: skip
    return GenerationStatus(**{**values, **changes})


def test_progress_in_words() -> None:
    assert how_far(status()) == "Training the LoRA · 40 of 120 steps · 1.2 steps/s · about 65 s left"
    assert (
        how_far(status(rate=0.1)) == "Training the LoRA · 40 of 120 steps · 10.0 s a step · about 13 min left"
    )
    assert how_far(status(total=0)) == "Training the LoRA"
    assert share(status()) == pytest.approx(1 / 3)
    assert share(status(done=5, total=3)) == 1.0
    assert stations(GenerationState.DRAWING).count("sid-here") == 1


def test_short_labels() -> None:
    assert facts.short_label(shot("woman")) == "vary"
    assert facts.short_label(shot("man", eliminated=("woman",), added=("man",))) == "no woman, with man"
