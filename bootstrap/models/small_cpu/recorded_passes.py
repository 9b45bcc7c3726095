"""The forward and backward pass of a training step of a small model on a CPU: recorded once, replayed on all cores.

A small model's operations finish before a second core has woken up to help, and launching them from Python and autograd
takes a third of the time. So a batch is split into equal parts, at most one per core, and each part's pass is replayed
by a thread of its own (see torchscript.py). A recording is compared with the eager pass in the step that recorded it
and in the next one. If they differ, or recording fails, training continues eagerly and reports that once.
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

_TOLERANCE = 1e-3  # of a gradient's norm; usually the results are bit-identical

_log = logging.getLogger(__name__)


@dataclass
class _Recorded:
    """The pass of a part, for one shape; takes inputs and parameters, returns the loss and the existing gradients."""

    script: Script
    names: list[str]  # of the inputs
    with_gradient: list[bool]  # for each parameter, whether it has a gradient
    compared: int = 0  # number of steps in which it was compared with the eager pass


class RecordedPasses:
    """Runs the pass of each step in parts, on its own threads. Created by `passes`."""

    def __init__(
        self, eager: Pass, parameters: list[nn.Parameter], pool: ThreadPoolExecutor, parts: int
    ) -> None:
        self._eager, self._parameters = eager, parameters
        self._pool, self._parts = pool, parts
        self._recorded: dict[tuple[object, ...], _Recorded] = {}
        self.given_up = False

    def run(self, inputs: Inputs) -> torch.Tensor:
        """Return the loss of a step, and set the parameters' gradients."""
        if not self.given_up:
            try:
                return self._run_parts(_split(inputs, self._parts))
            except RuntimeError as error:
                reason = in_one_line(str(error))[:200]
                _log.warning(
                    "training: its steps cannot be recorded (%s); it continues eagerly, slower", reason
                )
                self.given_up = True
                self._recorded.clear()
        forget_gradients(self._parameters)
        return self._eager(inputs)

    def _run_parts(self, parts: list[Inputs]) -> torch.Tensor:
        shape = tuple((name, *tensor.shape) for name, tensor in parts[0].items())
        if shape not in self._recorded:
            self._recorded[shape] = self._pool.submit(self._record, parts[0]).result()
        recorded = self._recorded[shape]
        forget_gradients(self._parameters)  # frees the last step's before this step's are allocated
        results = list(self._pool.map(lambda part: self._replay(recorded, part), parts))
        if recorded.compared < 2:
            expected = self._pool.submit(self._run_eager, parts[0]).result()
            compare(expected, self._all_results(recorded, results[0]), _TOLERANCE)
            recorded.compared += 1
        total, *further_results = results
        for result in further_results:
            torch._foreach_add_(total, result)
        loss, *gradients = self._all_results(recorded, total)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss

    def _record(self, inputs: Inputs) -> _Recorded:
        with_gradient: list[bool] = []

        def once() -> list[torch.Tensor]:
            loss, *gradients = self._run_eager(inputs)
            with_gradient.extend(gradient is not None for gradient in gradients)
            return [loss, *(gradient for gradient in gradients if gradient is not None)]

        script = torchscript.record(once, [*inputs.values(), *self._parameters])
        return _Recorded(script, list(inputs), with_gradient)

    def _run_eager(self, inputs: Inputs) -> Results:
        forget_gradients(self._parameters)
        return (self._eager(inputs), *(parameter.grad for parameter in self._parameters))

    def _replay(self, recorded: _Recorded, inputs: Inputs) -> list[torch.Tensor]:
        values = [inputs[name] for name in recorded.names]
        return list(recorded.script(*values, *(parameter.detach() for parameter in self._parameters)))

    def _all_results(self, recorded: _Recorded, results: list[torch.Tensor]) -> Results:
        loss, *existing_gradients = results
        gradients = iter(existing_gradients)
        return (loss, *(next(gradients) if has_gradient else None for has_gradient in recorded.with_gradient))


@contextmanager
def passes(eager: Pass, parameters: list[nn.Parameter], batch_size: int) -> Iterator[RecordedPasses]:
    """Yield recorded passes, whose threads live as long as the `with` block.

    Args:
        eager: the pass to record. Its loss must be the mean over the rows of a batch, times the input `weight`.
        parameters: those whose gradients it computes.
        batch_size: number of rows in each batch.
    """
    parts = even_parts(batch_size)
    with threads(parts) as pool:
        yield RecordedPasses(eager, parameters, pool, parts)


def _split(inputs: Inputs, count: int) -> list[Inputs]:
    """Return the inputs of the parts; their losses and gradients add up to those of the whole batch."""
    # `tokens` holds each shared caption once, and `rows` the index of each row's caption.
    shared_names = ("weight", "tokens") if "rows" in inputs else ("weight",)
    split = {name: tensor.tensor_split(count) for name, tensor in inputs.items() if name not in shared_names}
    shared = {name: inputs[name] for name in shared_names} | {"weight": inputs["weight"] / count}
    return [shared | {name: parts[number] for name, parts in split.items()} for number in range(count)]
