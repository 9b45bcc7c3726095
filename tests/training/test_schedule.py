"""Which picture each step sees, and at which rate."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bootstrap.settings import TrainingSection
from bootstrap.training.identity import Example, training_id
from bootstrap.training.schedule import epoch_batches, learning_rate_factor, steps_per_epoch


def examples(*repeats: int) -> list[Example]:
    return [Example(f"{n}.png", f"sha{n}", f"tag {n}", count) for n, count in enumerate(repeats)]


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(0, 9),
    st.integers(1, 9),
)
def test_each_picture_is_seen_as_often_as_its_repeats_say(
    repeats: list[int], batch_size: int, seed: int, epoch: int
) -> None:
    shown = examples(*repeats)
    batches = epoch_batches(shown, batch_size, seed, epoch)
    assert len(batches) == steps_per_epoch(shown, batch_size)
    assert {len(batch) for batch in batches} == {batch_size}
    seen = Counter(index for batch in batches for index in batch)
    extra = len(batches) * batch_size - sum(repeats)
    assert all(seen[index] >= count for index, count in enumerate(repeats))
    assert sum(seen.values()) == sum(repeats) + extra
    assert batches == epoch_batches(shown, batch_size, seed, epoch)


def test_the_methods_120_steps() -> None:
    assert steps_per_epoch(examples(20), 1) * TrainingSection().epochs == 120


@given(st.sampled_from(["constant", "cosine", "linear"]), st.integers(0, 20), st.integers(21, 200))
def test_the_rate_warms_up_and_never_leaves_zero_to_one(kind: str, warmup: int, total: int) -> None:
    settings = TrainingSection(lr_scheduler=kind, lr_warmup_steps=warmup)
    factors = [learning_rate_factor(settings, step, total) for step in range(total)]
    assert all(0.0 <= factor <= 1.0 for factor in factors)
    assert factors[: warmup + 1] == sorted(factors[: warmup + 1])
    assert factors[warmup] == 1.0
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)


def test_the_identity_changes_with_whatever_changes_the_lora() -> None:
    settings = TrainingSection()
    identities = {
        training_id(examples(20), "base", settings),
        training_id(examples(21), "base", settings),
        training_id(examples(20, 1), "base", settings),
        training_id(examples(20), "other base", settings),
        training_id(examples(20), "base", TrainingSection(network_dim=32)),
    }
    assert len(identities) == 5
    assert training_id(examples(20), "base", settings) in identities
