"""The parts of the pages: text stays text, and progress and times read well."""

import pytest

from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import GenerationState
from review_app.components.markup import Markup, element, plain
from review_app.components.progress import duration, how_far, share, stations


def test_content_and_attributes_are_escaped() -> None:
    evil = '"><img src=x onerror=alert(1)>'
    assert element("b", evil, title=evil) == (
        '<b title="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;">&quot;&gt;&lt;img src=x onerror=alert(1)&gt;</b>'
    )
    assert element("ul", element("li", "a & b")) == "<ul><li>a &amp; b</li></ul>"
    assert isinstance(element("li", "a"), Markup)


def test_plain_text_has_no_markdown_left() -> None:
    assert plain("*a* [b](c) <d>\n:red[e] $f$") == r"\*a\* \[b\]\(c\) \<d\> \:red\[e\] \$f\$"


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
    assert how_far(status()) == "Training · 40 of 120 steps · 1.2 steps/s · about 65 s left"
    assert how_far(status(rate=0.1)) == "Training · 40 of 120 steps · 10.0 s/step · about 13 min left"
    assert how_far(status(total=0)) == "Training"
    assert share(status()) == pytest.approx(1 / 3)
    assert share(status(done=5, total=3)) == 1.0
    assert stations(GenerationState.DRAWING).count("sid-here") == 1
