"""Captions of many picks are changed at once, and inconsistent ones are reported."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import add_published, make_project, open_catalog, shot

from bootstrap import captions
from bootstrap.catalog import picks, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.cli import main
from bootstrap.dataset import growth, retagging
from bootstrap.dataset.retagging import TagEdit, nearly_the_same
from bootstrap.errors import UserError
from bootstrap.project import editing

PROMPTS = [
    "woman, red apple, Window",
    "woman, red apples, window",
    "woman, blue bonnet",
    "man, blue bonet, window",
]


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A project with four picks."""
    made = make_project(tmp_path_factory.mktemp("retagging"))
    catalog = open_catalog(made)
    ids = add_published(made, catalog, 1, 0, [shot(seed, prompt) for seed, prompt in enumerate(PROMPTS)])
    verdicts.decide(catalog, made.name, ids, Verdict.ACCEPT, "me")
    growth.grow(made, catalog)
    return made, catalog, ids


@pytest.fixture
def fresh(grown):
    """The same, with its captions as they were."""
    made, catalog, ids = grown
    growth.recaption(made, catalog, dict(zip(ids, PROMPTS, strict=True)))
    return made, catalog, ids


def captions_of(made, catalog):
    return [pick.caption for pick in picks.picks(catalog, made.name)]


def test_tags_are_added_removed_and_renamed_in_all_picks(fresh):
    made, catalog, ids = fresh
    edit = TagEdit(add=("outdoors",), remove=("WINDOW",), rename=(("blue bonet", "blue bonnet, felt"),))
    assert retagging.retag(made, catalog, edit) == 4
    assert captions_of(made, catalog) == [
        "woman, red apple, outdoors",
        "woman, red apples, outdoors",
        "woman, blue bonnet, outdoors",
        "man, blue bonnet, felt, outdoors",
    ]
    assert (made.dataset_folder / f"{ids[3]}.txt").read_text() == "man, blue bonnet, felt, outdoors\n"
    assert retagging.retag(made, catalog, edit) == 0


def test_only_some_picks_are_meant(fresh):
    made, catalog, ids = fresh
    assert retagging.retag(made, catalog, TagEdit(add=("smile",)), having="blue bonnet") == 1
    assert retagging.retag(made, catalog, TagEdit(add=("frown",)), ids=ids[:2]) == 2
    assert [caption.split(", ")[-1] for caption in captions_of(made, catalog)] == [
        "frown",
        "frown",
        "smile",
        "window",
    ]


def test_nothing_is_changed_when_one_caption_would_be_empty(fresh):
    made, catalog, _ = fresh
    with pytest.raises(UserError, match="empty"):
        retagging.retag(made, catalog, TagEdit(remove=("woman", "blue bonnet")))
    assert captions_of(made, catalog) == PROMPTS
    with pytest.raises(UserError, match="nothing to change"):
        retagging.retag(made, catalog, TagEdit())
    with pytest.raises(UserError, match="none with this id"):
        retagging.retag(made, catalog, TagEdit(add=("a",)), ids=["0" * 16])


def test_the_report_tells_rare_alike_and_missing_tags(fresh):
    made, catalog, ids = fresh
    report = retagging.consistency(made, catalog)
    assert report.pictures == 5
    assert report.uses["woman"] == 4 and report.uses["red apple"] == 2  # of the original too
    assert {"blue bonet", "man", "Window", "red apples"} <= set(report.once) and "woman" not in report.once
    assert set(report.alike) == {
        ("blue bonet", "blue bonnet"),
        ("red apple", "red apples"),
        ("Window", "window"),
    }
    assert report.required == ("woman",) and report.lacking == {ids[3]: ("woman",)}
    assert not report.is_clean
    editing.set_values(made, ['curation.required_tags=["woman", "window"]'])
    asked = made.workspace.project(made.name)
    assert retagging.consistency(asked, catalog).lacking == {ids[2]: ("window",), ids[3]: ("woman",)}
    editing.set_values(asked, ["curation.required_tags="])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("red_hat", "red hat"),
        ("hat red", "red hat"),
        ("Smile", "smile"),
        ("smiling", "smilling"),
        ("eye", "eyes"),
    ],
)
def test_nearly_the_same(first, second):
    assert len(nearly_the_same([first, second, "something else"])) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("red hat", "red cat"), ("10girls", "20girls"), ("red apple", "green apple"), ("a", "b")],
)
def test_not_the_same(first, second):
    assert nearly_the_same([first, second]) == []


TAGS = st.lists(st.text("abcAB 1_-", min_size=1, max_size=8), max_size=6)


@given(TAGS, TAGS, TAGS)
def test_an_edit_leaves_what_it_says(tags, added, removed):
    tags, added, removed = (captions.parse(",".join(some)) for some in (tags, added, removed))
    edited = TagEdit(add=tuple(added), remove=tuple(removed)).of(tags)
    folded = [tag.casefold() for tag in edited]
    assert len(set(folded)) == len(folded)
    assert set(folded) == {tag.casefold() for tag in [*captions.without(tags, removed), *added]}
    assert all(first != second for first, second in nearly_the_same(tags))


def test_the_verbs(fresh, monkeypatch, capsys):
    made, catalog, ids = fresh

    def sid(*arguments):
        monkeypatch.setattr(sys, "argv", ["sid", "--workspace", str(made.workspace.folder), *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    code, said = sid("tags", made.name, "--all")
    assert (
        code == 0
        and "blue bonet (1)  blue bonnet (1)" in said
        and f"{ids[3]}  woman" in said
        and "4  woman" in said
    )
    code, said = sid("retag", made.name, "--rename", "blue bonet=blue bonnet", "--add", "smile", ids[3][:8])
    assert code == 0 and said == "1 caption changed\n"
    assert captions_of(made, catalog)[3] == "man, blue bonnet, window, smile"
    for wrong in (["--rename", "hat"], ["--rename", "hat="], [], ["--add", "x", "nobody"]):
        code, said = sid("retag", made.name, *wrong)
        assert code == 2 and said.count("\n") == 1, wrong


def test_a_report_of_many_like_tags_does_not_grow_with_their_square():
    alike = [f"red{'-' * number}apple" for number in range(1, 3001)]
    pairs = nearly_the_same(alike)
    assert len(pairs) < 50 * 50 + 3000
    assert {tag for pair in pairs for tag in pair} == set(alike)
    assert nearly_the_same(["a" * 20_000, " ".join(f"word{number}" for number in range(2000))]) == []
