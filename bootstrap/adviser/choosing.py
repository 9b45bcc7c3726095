"""The rule: from the measurements to the two phase changes and the snapshots to draw with."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.optimize import isotonic_regression

from bootstrap.catalog.advices import Advice, Measurement

Phase = Literal["early", "trained", "inflexible"]

# A snapshot is trained when at most half as much again is missing of the original as with the closest one of its
# training: what is small and learnt last, a badge, hardly shows in the closeness itself, but it is most of what is
# still missing (docs/bench.md). It is inflexible when two thirds of the base model's flexibility are gone.
TRAINED = 1.5
INFLEXIBLE = 1 / 3


def phases(measurements: Sequence[Measurement]) -> list[Phase]:
    """Return the phase of each snapshot.

    A few drawings make a noisy measurement. Training brings a picture closer and takes flexibility away, so the
    curves are fitted as what they are, one that only rises and one that only falls, before they are looked at.

    Args:
        measurements: of all snapshots of a training, by epoch.
    """
    closeness = isotonic_regression(np.array([one.closeness for one in measurements])).x
    flexibility = isotonic_regression(np.array([one.flexibility for one in measurements]), increasing=False).x
    found: list[Phase] = []
    for close, flexible in zip(closeness, flexibility, strict=True):
        if flexible <= INFLEXIBLE:
            found.append("inflexible")
        else:
            near = closeness[-1] > 0 and 1 - close <= TRAINED * (1 - closeness[-1])
            found.append("trained" if near else "early")
    return found


def choose(measurements: Sequence[Measurement]) -> Advice:
    """Return which snapshot to vary with, and which to replicate with.

    To vary with: the earliest trained one. To replicate with: the last trained one before they get inflexible. If
    flexibility ends before the caption is learned, there is no trained one, and the last early one serves for both:
    the closest of those that still do what a prompt says. If all are inflexible, that is the first.

    Args:
        measurements: of all snapshots of a training, by epoch, one at least.
    """
    found = phases(measurements)
    epochs = [one.epoch for one in measurements]
    trained = [epoch for epoch, phase in zip(epochs, found, strict=True) if phase == "trained"]
    early = [epoch for epoch, phase in zip(epochs, found, strict=True) if phase == "early"]
    usable = trained or early[-1:] or epochs[:1]
    return Advice(list(measurements), variation=usable[0], replication=usable[-1])
