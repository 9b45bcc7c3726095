"""The rule on known curves: the phases, and the chosen snapshots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.adviser.choosing import choose, phases
from bootstrap.catalog.advices import Measurement


def curve(closeness: list[float], flexibility: list[float]) -> list[Measurement]:
    return [
        Measurement(epoch, close, flexible, flexible)
        for epoch, (close, flexible) in enumerate(zip(closeness, flexibility, strict=True), start=1)
    ]


TEXTBOOK = curve([0.1, 0.2, 0.6, 0.62, 0.65, 0.68, 0.7], [0.95, 0.9, 0.75, 0.6, 0.4, 0.2, 0.1])


def test_both_phase_changes_are_found() -> None:
    assert phases(TEXTBOOK) == ["early"] * 2 + ["trained"] * 3 + ["inflexible"] * 2
    advice = choose(TEXTBOOK)
    assert (advice.variation, advice.middle, advice.replication) == (3, 4, 5)


def test_what_is_learnt_last_counts_although_it_hardly_makes_a_picture_closer() -> None:
    # Measured with Paper Town: the badge appears at snapshot 5, though earlier snapshots are already 94 to 96 % close.
    advice = choose(curve([0.61, 0.94, 0.94, 0.96, 0.97, 0.98], [0.96, 0.95, 0.95, 0.95, 0.94, 0.91]))
    assert (advice.variation, advice.middle, advice.replication) == (5, 5, 6)


def test_epochs_are_named_by_their_number_not_by_their_place() -> None:
    every_second = [
        Measurement(2 * measurement.epoch, measurement.closeness, measurement.freedom, None)
        for measurement in TEXTBOOK
    ]
    advice = choose(every_second)
    assert (advice.variation, advice.middle, advice.replication) == (6, 8, 10)


def test_a_noisy_dip_changes_nothing() -> None:
    closeness = [measurement.closeness for measurement in TEXTBOOK]
    flexibility = [measurement.flexibility for measurement in TEXTBOOK]
    flexibility[2] = 0.3  # unlucky drawings of a snapshot between two flexible ones
    closeness[1] = 0.3
    advice = choose(curve(closeness, flexibility))
    assert (advice.variation, advice.replication) == (3, 5)


@pytest.mark.parametrize(
    ("closeness", "flexibility", "variation", "replication"),
    [
        ([0.2, 0.6, 0.7], [0.9, 0.8, 0.7], 2, 3),  # too short to become inflexible: the last
        ([0.1, 0.3, 0.9], [0.9, 0.6, 0.1], 2, 2),  # never both close and flexible: the closest flexible
        ([0.9, 0.9, 0.9], [0.1, 0.1, 0.1], 1, 1),  # overtrained from the start: the least overtrained
        ([-0.1, -0.1, -0.2], [1.0, 1.0, 1.0], 3, 3),  # nothing was learned: the longest trained
        ([0.5], [0.5], 1, 1),
        ([0.4], [0.1], 1, 1),
    ],
)
def test_trainings_that_are_too_short_too_strong_or_without_effect(
    closeness: list[float], flexibility: list[float], variation: int, replication: int
) -> None:
    advice = choose(curve(closeness, flexibility))
    assert (advice.variation, advice.replication) == (variation, replication)


def test_without_a_tag_that_the_base_model_knows_freedom_alone_counts() -> None:
    assert Measurement(1, 0.5, 0.6, None).flexibility == 0.6
    assert Measurement(1, 0.5, 0.6, 0.2).flexibility == pytest.approx(0.4)


_VALUES = st.floats(-0.5, 1.0)


@given(st.lists(st.tuples(_VALUES, _VALUES, st.none() | st.floats(0, 1)), min_size=1, max_size=12))
def test_whatever_was_measured_the_choice_is_one_of_the_snapshots(values) -> None:
    measured = [Measurement(epoch, *value) for epoch, value in enumerate(values, start=1)]
    phase_of = phases(measured)
    assert phase_of == sorted(phase_of, key=["early", "trained", "inflexible"].index)
    advice = choose(measured)
    assert 1 <= advice.variation <= advice.middle <= advice.replication <= len(measured)
    if "inflexible" in phase_of:
        assert advice.replication <= max(1, phase_of.index("inflexible"))
