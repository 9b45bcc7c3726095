"""How the app shows the way a candidate was drawn: tags keep their places, and empty facts are left out."""

from bootstrap.shots import Shot
from review_app import facts

CAPTION = ["woman", "smile", "red apple", "window"]


def shot(prompt: str, **changes: object) -> Shot:
    values: dict = {
        "prompt": prompt, "negative_prompt": "", "seed": 1, "steps": 20, "sampler": "Euler", "cfg_scale": 7.5,
        "width": 128, "height": 64, "base_model": "papertown", "base_model_hash": "0" * 64, "loras": (),
        "recipe": "vary",
    }  # fmt: skip
    return Shot(**{**values, **changes})


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


def test_short_labels() -> None:
    assert facts.short_label(shot("woman")) == "vary"
    assert facts.short_label(shot("man", eliminated=("woman",), added=("man",))) == "no woman, with man"
