"""The forward and backward pass of a training step: eager, or on a GPU recorded once as a CUDA graph and replayed.

A step of Stable Diffusion 1.5 consists of 3,600 small operations; a fast GPU takes longer to launch them one by one
than to compute them. A graph launches them all at once, with each step's inputs copied to the memory of the recorded
ones. Each graph is compared with the eager pass before it is used; if it differs, or cannot be recorded, training
continues eagerly and logs one warning. A graph holds the memory of a whole pass, so eager passes of its shape end once
it exists.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from bootstrap.errors import in_one_line
from bootstrap.models.training_pass import Inputs, Pass, Results, compare, forget_gradients

# Each graph keeps the memory of its gradients; input shapes beyond this many run eagerly.
MOST_GRAPHS = 8
# Relative to a gradient's length: half precision has 8 to 11 bits, and a graph may use kernels that sum in another
# order. A graph that wrongly reuses values of the pass it was recorded in is off by about the gradient's whole length.
_TOLERANCE = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """A recorded pass."""

    replay: Callable[[], object]
    loss: torch.Tensor  # each replay writes it here


Recorder = Callable[[Callable[[], torch.Tensor]], Recording]


class CudaRecorder:
    """Records passes as CUDA graphs that share one memory pool, as only one replays at a time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], torch.Tensor]) -> Recording:
        """Record a pass that reads and writes the same memory each time, after three warm-up passes.

        Source: PyTorch's notes on CUDA semantics, "CUDA Graphs": warm-up on a side stream initializes whatever is
        initialized on first use.
        """
        current, warm_up = torch.cuda.current_stream(), torch.cuda.Stream()
        warm_up.wait_stream(current)
        with torch.cuda.stream(warm_up):
            for _ in range(3):
                run()
        current.wait_stream(warm_up)
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile, for instance to decode a candidate's picture.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            loss = run()
        return Recording(graph.replay, loss)


class _Graph:
    """A recorded pass of one shape, with the tensors of its inputs and gradients."""

    def __init__(
        self, plain: Pass, parameters: list[nn.Parameter], inputs: Inputs, recorder: Recorder
    ) -> None:
        self._inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        self._parameters = parameters

        def run() -> torch.Tensor:
            forget_gradients(parameters)
            return plain(self._inputs)

        self._recording = recorder(run)
        self._gradients = [parameter.grad for parameter in parameters]

    def run(self, inputs: Inputs) -> torch.Tensor:
        for name, tensor in inputs.items():
            self._inputs[name].copy_(tensor)
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        self._recording.replay()
        return self._recording.loss


class Passes:
    """Runs the pass of each step in the fastest way that works."""

    def __init__(self, plain: Pass, parameters: list[nn.Parameter], recorder: Recorder | None) -> None:
        """Start without any graph.

        Args:
            plain: the pass itself, run eagerly.
            parameters: those whose gradients it computes.
            recorder: None: all passes run eagerly.
        """
        self._plain, self._parameters, self._recorder = plain, parameters, recorder
        self._graphs: dict[tuple[object, ...], _Graph] = {}
        self._earlier: dict[
            tuple[object, ...], Inputs
        ] = {}  # the latest inputs of shapes that have no graph yet

    def run(self, inputs: Inputs) -> torch.Tensor:
        """Return the loss of a step, and set the parameters' gradients."""
        if self._recorder is not None:
            try:
                return self._run_recorded(inputs, self._recorder)
            except RuntimeError as error:
                reason = in_one_line(str(error))[:200]
                _log.warning(
                    "training: no CUDA graph (%s); training continues without it, more slowly", reason
                )
                self._recorder = None
                self._graphs.clear()
                self._earlier.clear()
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
        return self._run_plain(inputs)

    def _run_plain(self, inputs: Inputs) -> torch.Tensor:
        forget_gradients(self._parameters)
        return self._plain(inputs)

    def _run_recorded(self, inputs: Inputs, recorder: Recorder) -> torch.Tensor:
        shape = tuple((name, *tensor.shape) for name, tensor in inputs.items())
        graph = self._graphs.get(shape)
        if graph is not None:
            return graph.run(inputs)
        if len(self._graphs) >= MOST_GRAPHS:
            return self._run_plain(inputs)
        earlier = self._earlier.get(shape)
        self._earlier[shape] = inputs
        if earlier is None:
            return self._run_plain(inputs)
        # The graph is compared on the inputs it is recorded with, and on others.
        both = (earlier, inputs)
        expected = [self._results(self._run_plain, trial) for trial in both]
        if not all(_is_finite(results) for results in expected):
            return expected[-1][0]  # as in the first steps in fp16: there is nothing to compare
        graph = _Graph(self._plain, self._parameters, inputs, recorder)
        for trial, eager_results in zip(both, expected, strict=True):
            replayed = self._results(graph.run, trial)
            compare(eager_results, replayed, _TOLERANCE)
        self._graphs[shape] = graph
        del self._earlier[shape]
        return replayed[0]

    def _results(self, run: Pass, inputs: Inputs) -> Results:
        """Run a pass, and return the loss and the parameters' gradients."""
        return (run(inputs), *(parameter.grad for parameter in self._parameters))


def _is_finite(results: Results) -> bool:
    return all(tensor is None or bool(torch.isfinite(tensor).all()) for tensor in results)
