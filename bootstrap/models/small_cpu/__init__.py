"""What only speeds up small models on a CPU: `passes` for training, `predict` for drawing.

Operations of a small model are over before a second core has woken up to help, and Python takes a third of the time to
begin them. Both calls record them once, and replay them on all cores; where that cannot be done they compute plainly.
Nothing outside this folder imports its files.
"""

from bootstrap.models.small_cpu.prediction import predict
from bootstrap.models.small_cpu.recorded_passes import RecordedPasses, passes

__all__ = ["RecordedPasses", "passes", "predict"]
