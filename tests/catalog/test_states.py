"""States and verdicts: what may follow what, through the one function that makes every change."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import add_drawn, add_published, bring, scene

from bootstrap.catalog import candidate_states, candidates, generations, states
from bootstrap.catalog.states import (
    AFTER_CANDIDATE_STATE,
    AFTER_GENERATION_STATE,
    AFTER_VERDICT,
    CandidateState,
    GenerationState,
    Verdict,
)
from bootstrap.catalog.tables import CandidateRow, GenerationRow
from bootstrap.errors import UserError
from bootstrap.project.generation import Generation

TABLES = [
    (GenerationRow, "state", AFTER_GENERATION_STATE),
    (CandidateRow, "state", AFTER_CANDIDATE_STATE),
    (CandidateRow, "verdict", AFTER_VERDICT),
]
PAIRS = [
    (row, field, after, before, to)
    for row, field, after in TABLES
    for before, to in itertools.product(after, repeat=2)
]


@pytest.mark.parametrize(("kind", "field", "after", "before", "to"), PAIRS)
def test_what_may_follow_does_and_nothing_else(kind, field, after, before, to):
    row = kind(**{field: before})
    if to is before or to in after[before]:
        states.move(row, to)
        assert getattr(row, field) is to
    else:
        with pytest.raises(RuntimeError, match=f"{to} cannot follow {before}"):
            states.move(row, to)
        assert getattr(row, field) is before


@pytest.mark.parametrize(
    ("row", "to"),
    [
        (GenerationRow(state=GenerationState.CURATING), CandidateState.PUBLISHED),
        (CandidateRow(state=CandidateState.CURATED), GenerationState.PUBLISHED),
        (CandidateRow(state=CandidateState.CURATED), "published"),
    ],
)
def test_a_state_of_another_kind_is_refused_though_its_text_is_the_same(row, to):
    with pytest.raises(RuntimeError, match="is given to a"):
        states.move(row, to)


@pytest.mark.parametrize("kind", [GenerationState, CandidateState, Verdict])
def test_every_state_has_its_line(kind):
    table = next(after for _, _, after in TABLES if isinstance(next(iter(after)), kind))
    assert set(table) == set(kind)


def test_a_grown_generation_stays_grown():
    assert not AFTER_GENERATION_STATE[GenerationState.GROWN]


@given(wanted=st.lists(st.sampled_from(list(GenerationState)), max_size=8))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_catalog_never_leaves_the_table(catalog, project, wanted):
    generation = Generation(project, catalog, generations.begin(catalog, project.name))
    now = generation.state
    for state in wanted:
        if state is now or state in AFTER_GENERATION_STATE[now]:
            generation.set_state(state, "why")
            now = state
        else:
            with pytest.raises(RuntimeError):
                generation.set_state(state)
        assert generation.state is now and type(generation.status().state) is GenerationState


def test_stored_texts_are_those_of_earlier_versions():
    assert [str(state) for state in GenerationState] == [
        "waiting", "training", "drawing", "curating", "published", "grown", "failed", "cancelled",
    ]  # fmt: skip
    assert [str(state) for state in CandidateState] == [
        "drawn", "curated", "published", "duplicate", "flawed", "broken",
    ]  # fmt: skip
    assert [str(verdict) for verdict in Verdict] == ["undecided", "accept", "reject"]


def test_a_duplicate_does_not_take_the_place_of_a_broken_one(project, catalog):
    shown, hidden = add_drawn(project, catalog, 1, [scene(1), scene(1)])
    from bootstrap.curation import clusters, run

    run.curate(Generation(project, catalog, 1))
    assert candidate_states.call_broken(catalog, project.name, [shown]) == [hidden]
    with pytest.raises(UserError, match="sid dedupe apple --again"):
        clusters.represent(project, catalog, hidden)
    assert candidates.candidate(catalog, project.name, hidden).state is CandidateState.DUPLICATE


def test_a_station_that_is_called_out_of_turn_is_our_mistake(project, catalog):
    add_published(project, catalog, 1, 1)
    bring(project, catalog, 1, GenerationState.GROWN)
    with pytest.raises(RuntimeError, match="training cannot follow grown"):
        generations.set_state(catalog, project.name, 1, GenerationState.TRAINING)
