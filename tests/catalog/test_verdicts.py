"""Verdicts are given and undone, in SQLite and in PostgreSQL, and nothing of a person's is lost."""

import random

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import add_drawn, add_published, bring, scene, shot

from bootstrap.catalog import Catalog, candidates, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.catalog.tables import VerdictRow
from bootstrap.errors import UserError


@pytest.fixture
def catalog(catalog_url):
    """The catalog of `project`, in each kind of database."""
    opened = Catalog(catalog_url)
    yield opened
    opened.close()


def standing(catalog, project) -> dict[str, str]:
    return {candidate.id: candidate.verdict for candidate in candidates.candidates(catalog, project.name)}


@given(
    actions=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["accept", "reject", "undo", "undo last"])), max_size=25
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_number_of_steps_can_be_undone(catalog, project, published, actions):
    """Against a model: a stack of (candidate, verdict before)."""
    while verdicts.undo(catalog, project.name) is not None:
        pass
    state = dict.fromkeys(published, "undecided")
    history: list[tuple[str, str]] = []
    for index, action in actions:
        candidate = published[index]
        if action in list(Verdict):
            history.append((candidate, state[candidate]))
            verdicts.decide(catalog, project.name, [candidate], Verdict(action), "tester")
            state[candidate] = action
            continue
        positions = [
            n for n, (decided, _) in enumerate(history) if action == "undo last" or decided == candidate
        ]
        asked = None if action == "undo last" else candidate
        undone = verdicts.undo(catalog, project.name, asked)
        if not positions:
            assert undone is None
            continue
        expected, before = history.pop(positions[-1])
        assert undone == expected
        state[expected] = before
        assert standing(catalog, project) == state
    assert standing(catalog, project) == state
    while history:
        expected, before = history.pop()
        assert verdicts.undo(catalog, project.name) == expected
        state[expected] = before
    assert standing(catalog, project) == state == dict.fromkeys(published, "undecided")
    assert verdicts.undo(catalog, project.name) is None


def test_a_verdict_knows_who_gave_it_and_undo_gives_the_one_before_back(catalog, project, published):
    verdicts.decide(catalog, project.name, published[:1], Verdict.ACCEPT, "ann")
    first = candidates.candidate(catalog, project.name, published[0])
    assert (first.reviewer, first.verdict) == ("ann", "accept")
    assert first.decided_at is not None and first.decided_at.tzinfo is not None
    verdicts.decide(catalog, project.name, published[:1], Verdict.REJECT, "bob")
    assert candidates.candidate(catalog, project.name, published[0]).reviewer == "bob"
    verdicts.undo(catalog, project.name, published[0])
    assert candidates.candidate(catalog, project.name, published[0]) == first
    verdicts.undo(catalog, project.name, published[0])
    blank = candidates.candidate(catalog, project.name, published[0])
    assert (blank.reviewer, blank.verdict, blank.decided_at) == ("", "undecided", None)


def test_nothing_is_deleted_by_undo(catalog, project, published):
    verdicts.decide(catalog, project.name, published, Verdict.ACCEPT, "ann")
    for _ in published:
        verdicts.undo(catalog, project.name)
    with catalog.read() as session:
        rows = session.scalars(sa.select(VerdictRow)).all()
    assert len(rows) == len(published) and all(row.undone_at is not None for row in rows)


def test_undo_can_keep_to_a_generation_or_a_reviewer(catalog, project, published):
    bring(project, catalog, 1, "grown")
    second = add_published(project, catalog, 2, 2)
    verdicts.decide(catalog, project.name, published[:1], Verdict.ACCEPT, "ann")
    verdicts.decide(catalog, project.name, second[:1], Verdict.ACCEPT, "bob")
    verdicts.decide(catalog, project.name, second[1:], Verdict.REJECT, "ann")
    assert verdicts.undo(catalog, project.name, generation=1) == published[0]
    assert verdicts.undo(catalog, project.name, generation=1) is None
    assert verdicts.undo(catalog, project.name, reviewer="bob") == second[0]
    assert verdicts.undo(catalog, project.name, reviewer="bob") is None
    assert verdicts.undo(catalog, "another project") is None
    assert standing(catalog, project)[second[1]] == "reject"


def test_verdicts_are_all_or_none(catalog, project, published):
    with pytest.raises(UserError, match="none with this id"):
        verdicts.decide(catalog, project.name, [published[0], "f" * 16], Verdict.ACCEPT, "t")
    (drawn,) = add_drawn(project, catalog, 1, [scene(80)], [shot(80)])
    with pytest.raises(UserError, match="not published \\(drawn\\)"):
        verdicts.decide(catalog, project.name, [published[0], drawn], Verdict.ACCEPT, "t")
    with pytest.raises(ValueError, match="not a decision"):
        verdicts.decide(catalog, project.name, published, Verdict.UNDECIDED, "t")
    assert set(standing(catalog, project).values()) == {"undecided"}


def test_many_verdicts_at_once(catalog, project):
    ids = add_published(project, catalog, 1, 12)
    random.Random(1).shuffle(ids)
    verdicts.decide(catalog, project.name, ids[:7], Verdict.REJECT, "t")
    rejected = candidates.candidates(catalog, project.name, verdict="reject")
    assert {candidate.id for candidate in rejected} == set(ids[:7])


def test_all_that_was_decided_at_once_is_taken_back_at_once(catalog, project, published):
    verdicts.decide(catalog, project.name, published[:2], Verdict.ACCEPT, "anna")
    verdicts.decide(catalog, project.name, published[1:4], Verdict.REJECT, "anna")
    verdicts.decide(catalog, project.name, published[3:4], Verdict.ACCEPT, "ben")
    assert verdicts.undo_act(catalog, project.name, "anna") == published[1:3]
    verdict_of = {
        candidate.id: candidate.verdict for candidate in candidates.candidates(catalog, project.name)
    }
    assert [verdict_of[candidate_id] for candidate_id in published[:4]] == [
        "accept",
        "accept",
        "undecided",
        "accept",
    ]
    assert verdicts.undo_act(catalog, project.name, "anna") == published[:2]
    assert verdicts.undo_act(catalog, project.name, "nobody") == []
