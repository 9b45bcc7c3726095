"""The deck: the first undecided on top, a verdict counts once, undo brings back."""

from browser import populate

from bootstrap.project import Project
from review_app import deck
from review_app.workspace import catalog_of


def test_the_first_undecided_is_on_top_and_the_next_are_named(made: Project) -> None:
    ids = populate.add_generation(made, 6)
    catalog = catalog_of(made)
    assert deck.give(catalog, made.name, ids[0], "accept", seen="undecided")
    assert deck.give(catalog, made.name, ids[1], "reject", seen="undecided")
    dealt = deck.deal(catalog, made.name, 1)
    assert dealt.current is not None
    assert (dealt.current.id, dealt.position) == (ids[2], 3)
    assert [one.id for one in dealt.upcoming] == ids[3:6]
    assert (dealt.total, dealt.decided, dealt.accepted, dealt.rejected) == (6, 2, 1, 1)


def test_a_verdict_on_something_else_than_was_seen_is_not_given(made: Project) -> None:
    first, _ = populate.add_generation(made, 2)
    catalog = catalog_of(made)
    assert deck.give(catalog, made.name, first, "accept", seen="undecided")
    assert not deck.give(catalog, made.name, first, "reject", seen="undecided")
    assert populate.verdicts(made)[first] == "accept"


def test_an_opened_candidate_lies_on_top(made: Project) -> None:
    ids = populate.add_generation(made, 3)
    dealt = deck.deal(catalog_of(made), made.name, 1, opened=ids[2])
    assert dealt.current is not None
    assert dealt.current.id == ids[2]
    assert [one.id for one in dealt.upcoming] == ids[:2]


def test_all_decided(made: Project) -> None:
    (only,) = populate.add_generation(made, 1)
    deck.give(catalog_of(made), made.name, only, "reject", seen="undecided")
    dealt = deck.deal(catalog_of(made), made.name, 1)
    assert (dealt.current, dealt.position, dealt.upcoming) == (None, 0, ())
    assert deck.take_back(catalog_of(made), made.name, 1) == only
    assert deck.take_back(catalog_of(made), made.name, 1) is None


def test_the_latest_generation_with_something_undecided_is_reviewed(made: Project) -> None:
    from bootstrap.catalog import generations

    catalog = catalog_of(made)
    assert deck.generation_to_review(generations.statuses(catalog, made.name)) is None
    first = populate.add_generation(made, 2)
    generations.set_state(catalog, made.name, 1, "grown")
    (second,) = populate.add_generation(made, 1)
    assert deck.generation_to_review(generations.statuses(catalog, made.name)) == 2
    deck.give(catalog, made.name, second, "accept", seen="undecided")
    assert deck.generation_to_review(generations.statuses(catalog, made.name)) == 1
    for one in first:
        deck.give(catalog, made.name, one, "accept", seen="undecided")
    assert deck.generation_to_review(generations.statuses(catalog, made.name)) == 2
