"""The forward and backward pass of a training step: plain, or on a GPU recorded once as a CUDA graph and replayed.

A step of Stable Diffusion 1.5 is 3,600 small operations; to launch them one by one takes a fast GPU longer than to
compute them. A graph launches all at once, with the values of the next step copied to where those of the first one
were. Whether it computes what the plain pass does is looked at before it is relied on; where it does not, or cannot be
recorded, training goes on plainly, and says so once. A graph holds the memory of a whole pass, so no plain pass of its
shape is done any more once it is there.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from bootstrap.errors import in_one_line
from bootstrap.models.training_pass import Inputs, Pass, Results, compare, forget_gradients

# Each graph keeps the memory of its gradients; of more sizes of pictures than this the others are done plainly.
MOST_GRAPHS = 8
# Of a gradient's length: half precision has 8 to 11 bits, and sums in another order where a graph has another kernel.
# What a graph has kept from the pass that it was recorded in is as far off as the gradient is long.
_TOLERANCE = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """A recorded pass."""

    replay: Callable[[], object]
    loss: torch.Tensor  # where each replay puts it


Recorder = Callable[[Callable[[], torch.Tensor]], Recording]


class CudaRecorder:
    """Records passes as CUDA graphs that share their memory: one is replayed at a time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], torch.Tensor]) -> Recording:
        """Record a pass that reads and writes the same memory each time.

        Source: PyTorch's notes on CUDA semantics, "CUDA Graphs": what is set up at first use is set up by a few
        passes on a stream of their own.
        """
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(3):
                run()
        here.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile: a candidate's picture is being decoded, for one.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            loss = run()
        return Recording(graph.replay, loss)


class _Graph:
    """A recorded pass of one shape, with its inputs and where it leaves the gradients."""

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
        """Begin without any graph.

        Args:
            plain: the pass itself.
            parameters: those whose gradients it makes.
            recorder: None: all passes are plain.
        """
        self._plain, self._parameters, self._recorder = plain, parameters, recorder
        self._graphs: dict[tuple[object, ...], _Graph] = {}
        self._earlier: dict[tuple[object, ...], Inputs] = {}  # of shapes that have no graph yet

    def run(self, inputs: Inputs) -> torch.Tensor:
        """Return the loss of a step, and leave the gradients with the parameters."""
        if self._recorder is not None:
            try:
                return self._run_recorded(inputs, self._recorder)
            except RuntimeError as error:
                reason = in_one_line(str(error))[:200]
                _log.warning("training: no CUDA graph (%s); it goes on without, and is slower", reason)
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
        # Compared with the values it is recorded with, and with others.
        both = (earlier, inputs)
        expected = [self._results(self._run_plain, one) for one in both]
        if not all(_is_finite(one) for one in expected):
            return expected[-1][0]  # as the first steps in fp16: nothing is known then
        graph = _Graph(self._plain, self._parameters, inputs, recorder)
        for one, its in zip(both, expected, strict=True):
            found = self._results(graph.run, one)
            compare(its, found, _TOLERANCE)
        self._graphs[shape] = graph
        del self._earlier[shape]
        return found[0]

    def _results(self, run: Pass, inputs: Inputs) -> Results:
        """The loss, and the gradients that are left with the parameters."""
        return (run(inputs), *(parameter.grad for parameter in self._parameters))


def _is_finite(results: Results) -> bool:
    return all(one is None or bool(torch.isfinite(one).all()) for one in results)
