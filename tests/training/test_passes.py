"""Recorded passes: a stand-in for CUDA graphs shows when they are relied on, and when training goes on without."""

import logging
from collections.abc import Callable

import pytest
import torch
from recording import StandIn
from torch import nn

from bootstrap.training import passes
from bootstrap.training.passes import Inputs, Passes, Recording


class Model:
    """Two parameters, one of which has no gradient, and a count of plain passes."""

    def __init__(self) -> None:
        self.parameters = [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.ones(1))]
        self.passes = 0

    def plain(self, inputs: Inputs) -> torch.Tensor:
        self.passes += 1
        loss = (inputs["x"] * self.parameters[0]).square().mean()
        loss.backward()
        return loss.detach()


def steps() -> list[Inputs]:
    """Of two shapes in turn."""
    return [{"x": torch.full((2 + 2 * (step % 2), 2), 1.0 + step)} for step in range(8)]


def results(model: Model, runner: Passes) -> list[tuple[float, list[float]]]:
    found = []
    for inputs in steps():
        loss = float(runner.run(inputs))
        assert model.parameters[1].grad is None
        gradient = model.parameters[0].grad
        assert gradient is not None
        found.append((loss, gradient.tolist()))
        gradient.zero_()  # what a step does with it must not come back
    return found


def plain_results() -> list[tuple[float, list[float]]]:
    model = Model()
    return results(model, Passes(model.plain, model.parameters, None))


def test_a_recording_for_each_shape_gives_what_plain_passes_give() -> None:
    model = Model()
    recorder = StandIn(model.parameters)
    assert results(model, Passes(model.plain, model.parameters, recorder)) == plain_results()
    assert recorder.recorded == 2
    # Of each shape plain once; twice for the checks, recorded, and replayed for the checks; replayed from then on.
    assert model.passes == 2 * (1 + (2 + 1 + 2) + 2)


def test_shapes_beyond_the_limit_are_done_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "MOST_GRAPHS", 1)
    model = Model()
    recorder = StandIn(model.parameters)
    assert results(model, Passes(model.plain, model.parameters, recorder)) == plain_results()
    assert recorder.recorded == 1


def refused(_: Callable[[], torch.Tensor]) -> Recording:
    raise RuntimeError("operation not permitted when stream is capturing\nmore of it")


def stale(once: Callable[[], torch.Tensor]) -> Recording:
    """Computes the first step's result for ever: a value that was not among the inputs would do that."""
    loss = once()
    return Recording(lambda: None, loss)


@pytest.mark.parametrize(
    ("recorder", "reason"), [(refused, "not permitted"), (stale, "differs from the eager pass's")]
)
def test_what_cannot_be_relied_on_is_left_with_one_line(
    recorder: passes.Recorder, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model()
    with caplog.at_level(logging.WARNING):
        assert results(model, Passes(model.plain, model.parameters, recorder)) == plain_results()
    (line,) = caplog.messages
    assert reason in line and "\n" not in line


def test_a_pass_that_is_not_finite_is_checked_later() -> None:
    model = Model()
    runner = Passes(model.plain, model.parameters, stale)
    for _ in range(4):
        assert not torch.isfinite(runner.run({"x": torch.full((2, 2), float("inf"))}))
    assert runner.run({"x": torch.ones(2, 2)}) == 2.5
    assert runner.run({"x": torch.full((2, 2), 2.0)}) == 10  # and here the plain pass takes over


@pytest.mark.parametrize(("noise", "relied_on"), [(1e-3, True), (1.0, False)])
def test_rounding_in_a_gradient_that_is_next_to_nothing_is_no_difference(
    noise: float, relied_on: bool, caplog: pytest.LogCaptureFixture
) -> None:
    long, short = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))
    recording = False

    def plain(inputs: Inputs) -> torch.Tensor:
        loss = (inputs["x"] * (long + 1e-3 * short)).sum()
        loss.backward()
        assert short.grad is not None
        short.grad += noise * recording
        return loss.detach()

    def recorder(once: Callable[[], torch.Tensor]) -> Recording:
        nonlocal recording
        made = StandIn([long, short])(once)

        def replay() -> None:
            nonlocal recording
            recording = True
            made.replay()
            recording = False

        return Recording(replay, made.loss)

    runner = Passes(plain, [long, short], recorder)
    for step in range(4):
        runner.run({"x": torch.full((4,), 1.0 + step)})
    assert (not caplog.messages) == relied_on
