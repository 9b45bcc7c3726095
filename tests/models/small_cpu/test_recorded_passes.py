"""Passes in parts on a CPU: they add up to the plain pass, and training goes on plainly where they do not."""

import logging

import pytest
import torch
from torch import nn

from bootstrap.models.small_cpu import RecordedPasses, passes
from bootstrap.models.training_pass import Inputs


class Model:
    """Two parameters, one of which has no gradient; `stale` computes with a number that is none of the inputs."""

    def __init__(self, stale: bool = False, random: bool = False) -> None:
        self.parameters = [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.ones(1))]
        self.stale, self.random = stale, random
        self.passes = 0

    def plain(self, inputs: Inputs) -> torch.Tensor:
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
    found = []
    for inputs in steps(rows):
        if runner is None:
            for one in model.parameters:
                one.grad = None
        loss = float(runner.run(inputs) if runner else model.plain(inputs))
        assert model.parameters[1].grad is None
        gradient = model.parameters[0].grad
        assert gradient is not None
        found.append((loss, gradient.tolist()))
        with torch.no_grad():  # what a step does with the parameters is seen by the next
            model.parameters[0].sub_(0.1 * gradient)
    return found


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6])
def test_the_parts_add_up_to_the_plain_pass(rows: int, caplog: pytest.LogCaptureFixture) -> None:
    model, plain = Model(), Model()
    with passes(model.plain, model.parameters, rows) as runner:
        found = results(model, runner, rows)
    for (loss, gradient), (plain_loss, plain_gradient) in zip(found, results(plain, None, rows), strict=True):
        assert loss == pytest.approx(plain_loss, rel=1e-5)
        assert gradient == pytest.approx(plain_gradient, rel=1e-5)
    assert not caplog.records


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"random": True}, "random numbers"), ({"stale": True}, "not that of the plain pass")],
)
def test_what_cannot_be_recorded_is_said_once_and_done_plainly(
    wrong: dict[str, bool], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(**wrong)
    with caplog.at_level(logging.WARNING), passes(model.plain, model.parameters, 2) as runner:
        found = results(model, runner, 2)
    assert runner.given_up
    assert len(found) == 5
    [said] = caplog.messages
    assert reason in said


def test_captions_that_rows_share_come_whole_and_others_in_parts() -> None:
    seen: list[dict[str, list[int]]] = []
    parameter = nn.Parameter(torch.ones(1))

    def plain(inputs: Inputs) -> torch.Tensor:
        seen.append({name: list(tensor.shape) for name, tensor in inputs.items()})
        loss = inputs["weight"] * (inputs["noisy"] * parameter).mean()
        loss.backward()
        return loss.detach()

    base = {"noisy": torch.ones(4, 2), "weight": torch.tensor(1.0)}
    shared = base | {"tokens": torch.ones(3, 77), "rows": torch.tensor([0, 1, 2, 0])}
    own = base | {"tokens": torch.ones(8, 77)}  # two chunks each
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with passes(plain, [parameter], 4) as runner:
            for inputs in (shared, own):
                assert float(runner.run(inputs)) == 1.0
    finally:
        torch.set_num_threads(threads)
    assert seen[0] == {"noisy": [2, 2], "rows": [2], "tokens": [3, 77], "weight": []}
    assert seen[-1] == {"noisy": [2, 2], "tokens": [4, 77], "weight": []}
