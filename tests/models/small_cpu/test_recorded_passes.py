"""Passes in parts on a CPU add up to the eager pass; if they do not, training continues eagerly."""

import logging

import pytest
import torch
from torch import nn

from bootstrap.models.small_cpu import RecordedPasses, passes
from bootstrap.models.training_pass import Inputs


class Model:
    """Two parameters, one without a gradient; `stale` computes with a number that is not among the inputs."""

    def __init__(self, stale: bool = False, random: bool = False) -> None:
        self.parameters = [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.ones(1))]
        self.stale, self.random = stale, random
        self.passes = 0

    def eager(self, inputs: Inputs) -> torch.Tensor:
        x = inputs["noisy"]
        if self.stale:
            self.passes += 1
            x = x * torch.tensor([float(self.passes)])
        if self.random:
            x = x + torch.randn(2)
        loss = inputs["weight"] * (x * self.parameters[0]).square().mean()
        loss.backward()
        return loss.detach()


def steps(rows: int) -> list[Inputs]:
    torch.manual_seed(0)
    return [{"noisy": torch.randn(rows, 2), "weight": torch.tensor(0.5 + step)} for step in range(5)]


def results(model: Model, runner: RecordedPasses | None, rows: int) -> list[tuple[float, list[float]]]:
    losses_and_gradients = []
    for inputs in steps(rows):
        if runner is None:
            for parameter in model.parameters:
                parameter.grad = None
        loss = float(runner.run(inputs) if runner else model.eager(inputs))
        assert model.parameters[1].grad is None
        gradient = model.parameters[0].grad
        assert gradient is not None
        losses_and_gradients.append((loss, gradient.tolist()))
        with torch.no_grad():  # the next step must see the changed parameters
            model.parameters[0].sub_(0.1 * gradient)
    return losses_and_gradients


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6])
def test_the_parts_add_up_to_the_eager_pass(rows: int, caplog: pytest.LogCaptureFixture) -> None:
    model, eager_model = Model(), Model()
    with passes(model.eager, model.parameters, rows) as runner:
        recorded = results(model, runner, rows)
    for (loss, gradient), (eager_loss, eager_gradient) in zip(
        recorded, results(eager_model, None, rows), strict=True
    ):
        assert loss == pytest.approx(eager_loss, rel=1e-5)
        assert gradient == pytest.approx(eager_gradient, rel=1e-5)
    assert not caplog.records


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"random": True}, "random numbers"), ({"stale": True}, "differs from the eager pass's")],
)
def test_what_cannot_be_recorded_is_reported_once_and_done_eagerly(
    wrong: dict[str, bool], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(**wrong)
    with caplog.at_level(logging.WARNING), passes(model.eager, model.parameters, 2) as runner:
        losses_and_gradients = results(model, runner, 2)
    assert runner.given_up
    assert len(losses_and_gradients) == 5
    [message] = caplog.messages
    assert reason in message


def test_each_part_gets_all_shared_captions_but_only_its_rows_of_the_others() -> None:
    shapes: list[dict[str, list[int]]] = []
    parameter = nn.Parameter(torch.ones(1))

    def eager(inputs: Inputs) -> torch.Tensor:
        shapes.append({name: list(tensor.shape) for name, tensor in inputs.items()})
        loss = inputs["weight"] * (inputs["noisy"] * parameter).mean()
        loss.backward()
        return loss.detach()

    base = {"noisy": torch.ones(4, 2), "weight": torch.tensor(1.0)}
    shared = base | {"tokens": torch.ones(3, 77), "rows": torch.tensor([0, 1, 2, 0])}
    own = base | {"tokens": torch.ones(8, 77)}  # two chunks each
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with passes(eager, [parameter], 4) as runner:
            for inputs in (shared, own):
                assert float(runner.run(inputs)) == 1.0
    finally:
        torch.set_num_threads(threads)
    assert shapes[0] == {"noisy": [2, 2], "rows": [2], "tokens": [3, 77], "weight": []}
    assert shapes[-1] == {"noisy": [2, 2], "tokens": [4, 77], "weight": []}
