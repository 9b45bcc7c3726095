"""The pictures and the learning rate of each step, all known before the first step."""

import math
import random
from collections import Counter
from functools import lru_cache

from bootstrap.project.settings import TrainingSection
from bootstrap.training.identity import Example


class Schedule:
    """The steps of a training, numbered from 0; a snapshot may be kept at the end of each epoch, numbered from 1.

    Training runs through the dataset in rounds. Each round has all repeats of all pictures in a new order, in
    batches of pictures of one size. With regularization, a batch of regularization pictures follows each batch of
    the dataset.
    """

    def __init__(self, examples: list[Example], settings: TrainingSection) -> None:
        self._examples, self._settings = examples, settings
        self._reg = [index for index, example in enumerate(examples) if example.is_regularization]
        self._round = lru_cache(maxsize=2)(self._make_round)
        self.steps_per_round = len(self._round(0)) * (2 if self._reg else 1)
        self.total_steps = settings.max_train_steps or self.steps_per_round * settings.epochs

    def epoch_end(self, epoch: int) -> int:
        """Return how many steps are done at the end of an epoch.

        Without max_train_steps an epoch is one round; with it, epochs are equal parts of the steps.
        """
        return round(self.total_steps * epoch / self._settings.epochs)

    def pictures(self, step: int) -> list[int]:
        """Return the indices of the pictures in a step's batch."""
        if not self._reg:
            number, index = divmod(step, self.steps_per_round)
            return self._round(number)[index]
        number, index = divmod(step, self.steps_per_round)
        if step % 2 == 0:
            return self._round(number)[index // 2]
        return self._reg_batch(step // 2)

    def seen(self, steps: int) -> list[int]:
        """Return how often each picture of the dataset is in a batch in the first `steps` steps."""
        counts = Counter(index for step in range(steps) for index in self.pictures(step))
        return [
            counts[index] for index, example in enumerate(self._examples) if not example.is_regularization
        ]

    def describe(self) -> str:
        """Return the whole schedule as one line of text."""
        dataset = [example for example in self._examples if not example.is_regularization]
        sizes = sorted({example.size for example in self._examples})
        repeats = sum(example.repeats for example in dataset)
        parts = [
            f"{len(dataset)} picture{'s'[: len(dataset) > 1]}, {repeats} repeats / batch size "
            f"{self._settings.train_batch_size}"
        ]
        if self._reg:
            parts.append(f"as many steps on {len(self._reg)} regularization pictures")
        if len(sizes) > 1:
            parts.append("buckets " + ", ".join(f"{width}x{height}" for width, height in sizes))
        steps = (
            f"max_train_steps {self.total_steps}"
            if self._settings.max_train_steps
            else f"{self._settings.epochs} epochs of {self.steps_per_round} steps = {self.total_steps} steps"
        )
        return "; ".join([*parts, steps])

    def _make_round(self, number: int) -> list[list[int]]:
        """Return the batches of a round. The last batch of each size is filled up, so that all have one shape."""
        order = [
            index
            for index, example in enumerate(self._examples)
            if not example.is_regularization
            for _ in range(example.repeats)
        ]
        random.Random(f"{self._settings.seed}/{number}").shuffle(order)
        by_size: dict[tuple[int, int], list[int]] = {}
        for index in order:
            by_size.setdefault(self._examples[index].size, []).append(index)
        size = self._settings.train_batch_size
        batches = []
        for indices in by_size.values():
            filled = indices + [indices[i % len(indices)] for i in range(-len(indices) % size)]
            batches += [filled[i : i + size] for i in range(0, len(filled), size)]
        if len(by_size) > 1:
            random.Random(f"{self._settings.seed}/{number}/batches").shuffle(batches)
        return batches

    def _reg_batch(self, number: int) -> list[int]:
        """Return the next batch of regularization pictures, in turn; its first picture decides its size."""
        size = self._settings.train_batch_size
        first = self._reg[number * size % len(self._reg)]
        same_size = [index for index in self._reg if self._examples[index].size == self._examples[first].size]
        start = same_size.index(first)
        return [same_size[(start + i) % len(same_size)] for i in range(size)]


def learning_rate_factor(settings: TrainingSection, step: int, total_steps: int) -> float:
    """Return the factor of the learning rates at a step (numbered from 0), 0.0 to 1.0.

    The formulas are those of transformers' `get_scheduler` for constant_with_warmup, cosine and linear.
    """
    warmup = settings.lr_warmup_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if settings.lr_scheduler == "constant":
        return 1.0
    progress = (step - warmup) / max(1, total_steps - warmup)
    if settings.lr_scheduler == "linear":
        return max(0.0, 1.0 - progress)
    return 0.5 * (1.0 + math.cos(math.pi * progress))
