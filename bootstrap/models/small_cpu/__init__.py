"""Speeding up small models on a CPU: `passes` for training, `predict` for drawing.

A small model's operations finish before a second core has woken up to help, and launching them from Python takes a
third of the time. Both calls record the operations once and replay them on all cores, or compute eagerly if they cannot
be recorded. Code outside this folder imports only from this file.
"""

from bootstrap.models.small_cpu.prediction import predict
from bootstrap.models.small_cpu.recorded_passes import RecordedPasses, passes

__all__ = ["RecordedPasses", "passes", "predict"]
