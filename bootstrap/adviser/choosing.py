"""The rule that derives the two phase changes, and the snapshots to draw with, from the measurements."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.optimize import isotonic_regression

from bootstrap.catalog.advices import Advice, Measurement

Phase = Literal["early", "trained", "inflexible"]

# A snapshot is trained if its distance from the original is at most 1.5 times that of the closest snapshot of its
# training: a small thing that is learned last, such as a badge, hardly changes the closeness, but is most of the
# remaining distance (docs/bench.md). It is inflexible if two thirds of the base model's flexibility are gone.
TRAINED = 1.5
INFLEXIBLE = 1 / 3


def phases(measurements: Sequence[Measurement]) -> list[Phase]:
    """Return the phase of each snapshot.

    Measurements from a few drawings are noisy. Training increases closeness and reduces flexibility, so the rule is
    applied to isotonic fits: a curve that only rises, and one that only falls.

    Args:
        measurements: of all snapshots of a training, ordered by epoch.
    """
    closeness = isotonic_regression(np.array([measurement.closeness for measurement in measurements])).x
    flexibility = isotonic_regression(
        np.array([measurement.flexibility for measurement in measurements]), increasing=False
    ).x
    result: list[Phase] = []
    for close, flexible in zip(closeness, flexibility, strict=True):
        if flexible <= INFLEXIBLE:
            result.append("inflexible")
        else:
            is_near = closeness[-1] > 0 and 1 - close <= TRAINED * (1 - closeness[-1])
            result.append("trained" if is_near else "early")
    return result


def choose(measurements: Sequence[Measurement]) -> Advice:
    """Return the snapshots to vary and to replicate with.

    Vary with the earliest trained snapshot, replicate with the last trained one before they become inflexible. If
    flexibility ends before the caption is learned, no snapshot is trained, and the last early one serves for both: the
    closest of those that still follow a prompt. If all are inflexible, the first serves for both.

    Args:
        measurements: of all snapshots of a training, ordered by epoch; at least one.
    """
    snapshot_phases = phases(measurements)
    epochs = [measurement.epoch for measurement in measurements]
    trained = [epoch for epoch, phase in zip(epochs, snapshot_phases, strict=True) if phase == "trained"]
    early = [epoch for epoch, phase in zip(epochs, snapshot_phases, strict=True) if phase == "early"]
    usable = trained or early[-1:] or epochs[:1]
    return Advice(list(measurements), variation=usable[0], replication=usable[-1])
