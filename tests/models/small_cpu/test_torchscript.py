"""Recorded operations give other inputs the results of running again; what cannot be recorded is refused."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bootstrap.models.small_cpu.torchscript import NotRecordedError, record

OPERATIONS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    lambda x: x @ x.T @ x,
    lambda x: x.softmax(-1),
    lambda x: torch.cat([x, x.flip(0)])[1:5],
    lambda x: torch.stack(x.unbind())[:, [1, 0, 2]],
    lambda x: F.group_norm(x[None], 1)[0],
    lambda x: F.layer_norm(x, (3,), torch.full((3,), 2.0)),
    lambda x: F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None])[0, 0],
    lambda x: F.interpolate(x[None, None], scale_factor=2.0, mode="nearest")[0, 0, ::2, ::2],
    lambda x: x.to(torch.float64).sin().to(torch.float32),
    lambda x: x * torch.arange(3.0).cos(),
    lambda x: x.clone(memory_format=torch.contiguous_format).add_(1).mul_(0.5),
    lambda x: F.conv2d(x[None, None], torch.full((1, 1, 3, 3), 0.1), padding=1)[0, 0],
    lambda x: x.split([1, 3])[1].repeat(2, 1)[:4],
    lambda x: torch.where(x > 0, x, x * 0.1),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=6), st.integers(0, 2**16))
def test_a_recording_computes_the_same_as_the_operations_for_other_inputs(
    operations: list[Callable[[torch.Tensor], torch.Tensor]], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = nn.Parameter(torch.zeros(4, 3))
    x = torch.zeros(4, 3)

    def fill() -> None:
        for tensor in (weight.data, x):
            tensor.copy_(torch.randn(4, 3, generator=generator))

    def run() -> list[torch.Tensor]:
        """Return the loss and the weight's gradient."""
        weight.grad = None
        result = x * weight
        for operation in operations:
            result = operation(result)
        loss = result.square().mean()
        loss.backward()
        assert weight.grad is not None
        return [loss.detach(), weight.grad]

    fill()
    recorded = record(run, [x, weight])
    for _ in range(2):
        fill()
        replayed = recorded(x.clone(), weight.detach().clone())
        assert not any(tensor.requires_grad for tensor in replayed)
        for actual, expected in zip(replayed, run(), strict=True):
            torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)


def test_external_tensors_are_read_with_their_current_values() -> None:
    x, external = torch.ones(2), torch.ones(2, 2)
    recorded = record(lambda: [x + external[0], x + external.sum(0) * torch.arange(2)], [x])
    external.fill_(5)
    view_sum, computed_sum = recorded(torch.zeros(2))
    assert view_sum.tolist() == [5, 5]
    assert computed_sum.tolist() == [0, 10]


def changes_external(external: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        external.add_(1)
        return x + external

    return run


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (lambda x: F.dropout(x, 0.5), "random numbers"),
        (lambda x: x * float(x.sum()), "reads a tensor's value"),
        (lambda x: x if torch.equal(x, x) else -x, "reads a tensor's value"),
        (lambda _: torch.ones(2) * 2, "not computed from the inputs"),
        (changes_external(torch.zeros(2)), "changes a tensor that is not an input"),
    ],
)
def test_operations_that_cannot_be_replayed_are_refused(
    run: Callable[[torch.Tensor], torch.Tensor], reason: str
) -> None:
    x = torch.ones(2)
    with pytest.raises(NotRecordedError, match=reason):
        record(lambda: [run(x)], [x])
