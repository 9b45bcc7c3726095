"""The pictures and the learning rate of each step."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bootstrap.project.settings import TrainingSection
from bootstrap.training.identity import Example, training_id
from bootstrap.training.schedule import Schedule, learning_rate_factor

SIZES = [(512, 512), (640, 448)]


def examples(*repeats: int, sizes: int = 1, regularization: int = 0) -> list[Example]:
    shown = [
        Example(f"{n}.png", f"sha{n}", f"tag {n}", count, SIZES[n % sizes]) for n, count in enumerate(repeats)
    ]
    return shown + [
        Example(f"reg{n}.png", f"reg{n}", "a class", 1, SIZES[n % sizes], True) for n in range(regularization)
    ]


def batches(schedule: Schedule) -> list[list[int]]:
    return [schedule.pictures(step) for step in range(schedule.total_steps)]


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(0, 9),
    st.integers(1, 3),
    st.integers(1, 2),
)
def test_each_picture_is_seen_as_often_as_its_repeats_say(
    repeats: list[int], batch_size: int, seed: int, epochs: int, sizes: int
) -> None:
    dataset = examples(*repeats, sizes=sizes)
    settings = TrainingSection(train_batch_size=batch_size, seed=seed, epochs=epochs)
    schedule = Schedule(dataset, settings)
    for epoch in range(epochs):
        round_batches = batches(schedule)[
            epoch * schedule.steps_per_round : (epoch + 1) * schedule.steps_per_round
        ]
        seen = Counter(index for batch in round_batches for index in batch)
        assert all(seen[index] >= count for index, count in enumerate(repeats))
        assert sum(seen.values()) - sum(repeats) < batch_size * sizes
    assert {len(batch) for batch in batches(schedule)} == {batch_size}
    assert batches(schedule) == batches(Schedule(dataset, settings))
    assert schedule.seen(schedule.total_steps) == [
        sum(batch.count(index) for batch in batches(schedule)) for index in range(len(repeats))
    ]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(1, 4))
def test_a_batch_never_mixes_sizes(repeats: list[int], batch_size: int) -> None:
    dataset = examples(*repeats, sizes=2, regularization=3)
    schedule = Schedule(dataset, TrainingSection(train_batch_size=batch_size, epochs=2))
    for batch in batches(schedule):
        assert len({dataset[index].size for index in batch}) == 1


def test_the_methods_120_steps() -> None:
    schedule = Schedule(examples(20), TrainingSection())
    assert schedule.total_steps == 120
    assert [schedule.epoch_end(epoch) for epoch in (1, 6)] == [20, 120]


@given(st.integers(1, 6), st.integers(1, 400), st.integers(1, 40))
def test_max_train_steps_is_what_is_trained_in_equal_epochs(epochs: int, steps: int, pictures: int) -> None:
    steps = max(steps, epochs)
    settings = TrainingSection(epochs=epochs, max_train_steps=steps)
    schedule = Schedule(examples(*[20] * pictures), settings)
    ends = [schedule.epoch_end(epoch) for epoch in range(epochs + 1)]
    lengths = [after - before for before, after in pairwise(ends)]
    assert (ends[0], ends[-1], len(batches(schedule))) == (0, steps, steps)
    assert min(lengths) >= 1 and max(lengths) - min(lengths) <= 1


def test_a_regularization_picture_follows_each_of_the_dataset() -> None:
    dataset = examples(4, 2, regularization=3)
    schedule = Schedule(dataset, TrainingSection(repeats=4, epochs=2))
    kinds = [dataset[batch[0]].is_regularization for batch in batches(schedule)]
    assert kinds == [False, True] * 12
    turns = [batch[0] - 2 for batch in batches(schedule)[1::2]]
    assert turns == [0, 1, 2] * 4
    assert schedule.seen(schedule.total_steps) == [8, 4]


def test_the_schedule_is_described_in_one_line() -> None:
    description = Schedule(examples(4, 2, sizes=2, regularization=3), TrainingSection(epochs=2)).describe()
    assert description == (
        "2 pictures, 6 repeats / batch size 1; as many steps on 3 regularization pictures; "
        "buckets 512x512, 640x448; 2 epochs of 12 steps = 24 steps"
    )
    assert Schedule(examples(20), TrainingSection()).describe() == (
        "1 picture, 20 repeats / batch size 1; 6 epochs of 20 steps = 120 steps"
    )


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
        training_id(examples(20, regularization=1), "base", settings),
    }
    assert len(identities) == 6
    assert training_id(examples(20), "base", settings) in identities
    assert training_id(examples(20), "base", TrainingSection(sample_prompts=["a"])) in identities
