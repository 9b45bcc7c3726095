"""The forward and backward pass of a training step of a small model on a CPU: recorded once, replayed on all cores.

The operations of a small model are over before a second core has woken up to help, and Python and autograd take a third
of the time to begin them. So a batch is cut into parts, one for each core where that comes out even, and each part's
pass is replayed by a thread of its own (see torchscript.py). What is recorded is compared with the plain pass in the
step that it was recorded in and in the next one; where they differ, or it cannot be recorded, training goes on plainly,
and says so once.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from bootstrap.errors import in_one_line
from bootstrap.models.small_cpu import torchscript
from bootstrap.models.small_cpu.threads import even_parts, threads
from bootstrap.models.small_cpu.torchscript import Script
from bootstrap.models.training_pass import Inputs, Pass, Results, compare, forget_gradients

_TOLERANCE = 1e-3  # of a gradient's length; the same operations give the same to the bit, as a rule

_log = logging.getLogger(__name__)


@dataclass
class _Recorded:
    """The pass of a part, of one shape; takes inputs and parameters, returns the loss and the gradients there are."""

    script: Script
    names: list[str]  # of the inputs
    with_gradient: list[bool]  # of the parameters
    compared: int = 0  # in how many steps


class RecordedPasses:
    """Runs the pass of each step in parts, on threads of its own. Made by `passes`."""

    def __init__(
        self, plain: Pass, parameters: list[nn.Parameter], pool: ThreadPoolExecutor, parts: int
    ) -> None:
        self._plain, self._parameters = plain, parameters
        self._pool, self._parts = pool, parts
        self._recorded: dict[tuple[object, ...], _Recorded] = {}
        self.given_up = False

    def run(self, inputs: Inputs) -> torch.Tensor:
        """Return the loss of a step, and leave the gradients with the parameters."""
        if not self.given_up:
            try:
                return self._run_parts(_cut(inputs, self._parts))
            except RuntimeError as error:
                reason = in_one_line(str(error))[:200]
                _log.warning(
                    "training: its steps cannot be recorded (%s); it goes on without, slower", reason
                )
                self.given_up = True
                self._recorded.clear()
        forget_gradients(self._parameters)
        return self._plain(inputs)

    def _run_parts(self, parts: list[Inputs]) -> torch.Tensor:
        shape = tuple((name, *tensor.shape) for name, tensor in parts[0].items())
        if shape not in self._recorded:
            self._recorded[shape] = self._pool.submit(self._record, parts[0]).result()
        recorded = self._recorded[shape]
        forget_gradients(self._parameters)  # those of the last step take no memory while this one's are made
        results = list(self._pool.map(lambda part: self._replay(recorded, part), parts))
        if recorded.compared < 2:
            expected = self._pool.submit(self._run_plain, parts[0]).result()
            compare(expected, self._all_results(recorded, results[0]), _TOLERANCE)
            recorded.compared += 1
        total, *others = results
        for other in others:
            torch._foreach_add_(total, other)
        loss, *gradients = self._all_results(recorded, total)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss

    def _record(self, inputs: Inputs) -> _Recorded:
        with_gradient: list[bool] = []

        def once() -> list[torch.Tensor]:
            loss, *gradients = self._run_plain(inputs)
            with_gradient.extend(one is not None for one in gradients)
            return [loss, *(one for one in gradients if one is not None)]

        script = torchscript.record(once, [*inputs.values(), *self._parameters])
        return _Recorded(script, list(inputs), with_gradient)

    def _run_plain(self, inputs: Inputs) -> Results:
        forget_gradients(self._parameters)
        return (self._plain(inputs), *(parameter.grad for parameter in self._parameters))

    def _replay(self, recorded: _Recorded, inputs: Inputs) -> list[torch.Tensor]:
        values = [inputs[name] for name in recorded.names]
        return list(recorded.script(*values, *(one.detach() for one in self._parameters)))

    def _all_results(self, recorded: _Recorded, results: list[torch.Tensor]) -> Results:
        loss, *rest = results
        left = iter(rest)
        return (loss, *(next(left) if has else None for has in recorded.with_gradient))


@contextmanager
def passes(plain: Pass, parameters: list[nn.Parameter], batch_size: int) -> Iterator[RecordedPasses]:
    """Give passes, with their threads for the length of a `with` block.

    Args:
        plain: the pass itself. The loss must be the mean over the rows of a batch, times the input `weight`.
        parameters: those whose gradients it makes.
        batch_size: rows of each batch.
    """
    parts = even_parts(batch_size)
    with threads(parts) as pool:
        yield RecordedPasses(plain, parameters, pool, parts)


def _cut(inputs: Inputs, count: int) -> list[Inputs]:
    """The inputs of the parts; their losses and gradients add up to those of the whole."""
    # Captions that several rows share come once, with the rows' numbers of them.
    shared = ("weight", "tokens") if "rows" in inputs else ("weight",)
    cut = {name: tensor.tensor_split(count) for name, tensor in inputs.items() if name not in shared}
    whole = {name: inputs[name] for name in shared} | {"weight": inputs["weight"] / count}
    return [whole | {name: parts[number] for name, parts in cut.items()} for number in range(count)]
