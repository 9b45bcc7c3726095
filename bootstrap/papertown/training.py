"""The resumable training loop that all of Paper Town's models share.

Each step trains on one batch. A step's random numbers depend only on the seed and the step number, so a
training that was killed and resumed ends with the same weights as an uninterrupted one, up to the order of
float sums. The learning rates warm up, stay constant, and decay to 1 % over the last part; the saved models use
a running average of the weights over about the last tenth of the steps so far.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bootstrap.files import make_folder, whole_file
from bootstrap.papertown.optimizer import optimizers

WARMUP_STEPS = 60
AVERAGE_POWER = 12  # step n enters the running average with a weight that grows as n ** 12
CHECKPOINT_SECONDS = 240


@dataclass(frozen=True)
class Hyperparameters:
    """The length, batch size, peak learning rates and seed of a training.

    `samples` is the number of samples of the whole training, over all of its runs.
    """

    samples: int
    batch: int
    muon_lr: float
    adam_lr: float
    decay: float = 0.4  # the share of the training, at its end, over which the learning rates decay
    seed: int = 0

    @property
    def steps(self) -> int:
        return self.samples // self.batch

    def lr_factor(self, step: int) -> float:
        """Return the factor, 0 to 1, by which the peak learning rates are multiplied at `step`."""
        decayed = (self.steps - step) / (self.decay * self.steps)
        return min(1.0, (step + 1) / WARMUP_STEPS, max(decayed, 0.01))


class Training:
    """The state of one training: `modules` by name, the running averages of their weights, the optimizers.

    The state is saved in `folder`/checkpoint.pt, and loaded from there if the file exists. `weight_decay` is that of
    the matrices which Muon trains.
    """

    def __init__(
        self,
        folder: Path,
        modules: dict[str, nn.Module],
        hyperparameters: Hyperparameters,
        weight_decay: float = 0.0,
    ) -> None:
        self.folder, self.modules, self.hyperparameters = folder, modules, hyperparameters
        self.device = next(next(iter(modules.values())).parameters()).device
        self.parameters = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
        self.averages = [p.detach().clone() for p in self.parameters]
        self.optimizers = optimizers(
            modules.values(), hyperparameters.muon_lr, hyperparameters.adam_lr, weight_decay
        )
        self.step = 0
        make_folder(folder)
        if self.checkpoint.exists():
            self._load()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def finished(self) -> bool:
        return self.step >= self.hyperparameters.steps

    def run(
        self,
        loss: Callable[[int, torch.Generator], tuple[Tensor, dict[str, Tensor]]],
        minutes: float | None,
        report: Callable[[], None],
        report_minutes: float = 15.0,
    ) -> None:
        """Train until all samples are seen, `minutes` have passed or SIGTERM arrives, then save the checkpoint.

        Args:
            loss: called with the step number and the step's random generator; returns the step's loss and the
                figures to print, by name, all scalar tensors.
            minutes: the time limit of this run; None for no limit.
            report: called every `report_minutes` and at the end, unless SIGTERM ended the run. During the call
                the modules hold their averaged weights and are in evaluation mode.
            report_minutes: minutes between two reports.
        """
        began = saved = reported = time.monotonic()
        deadline = began + 60 * minutes if minutes is not None else float("inf")
        sigterm_received = _catch_sigterm()
        first_step = self.step
        smoothed: dict[str, Tensor] = {}
        while not self.finished and time.monotonic() < deadline and not sigterm_received():
            figures = self._train_step(loss)
            for name, value in figures.items():
                previous = smoothed.get(name)
                smoothed[name] = value if previous is None else previous + 0.02 * (value - previous)
            if self.step % 10 == 0 and self.device.type == "cpu":
                torch.set_num_threads(free_cores())
            if self.step % 50 == 0:
                batch = self.hyperparameters.batch
                speed = (self.step - first_step) * batch / (time.monotonic() - began)
                listed = " ".join(f"{name} {float(value):.4f}" for name, value in smoothed.items())
                print(
                    f"{self.folder.name} step {self.step}/{self.hyperparameters.steps} "
                    f"({self.step * batch} samples) {listed} {speed:.1f}/s",
                    flush=True,
                )
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = time.monotonic()
            if time.monotonic() - reported > 60 * report_minutes:
                self._report(report)
                reported = time.monotonic()
        self.save()
        if not sigterm_received():
            self._report(report)
        state = "finished" if self.finished else f"stopped at step {self.step}; run it again to resume"
        print(f"{self.folder.name}: {state}", flush=True)

    def save(self) -> None:
        """Write the checkpoint file, whole or not at all."""
        state = {
            "step": self.step,
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "averages": self.averages,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        with whole_file(self.checkpoint) as unfinished:
            torch.save(state, unfinished)

    def use_averages(self) -> None:
        """Overwrite the modules' weights with their averages."""
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.averages, strict=True):
                parameter.copy_(average)

    def _train_step(self, loss: Callable) -> dict[str, Tensor]:
        hyperparameters = self.hyperparameters
        lr_factor = hyperparameters.lr_factor(self.step)
        peak_lrs = (hyperparameters.muon_lr, hyperparameters.adam_lr)
        for optimizer, peak_lr in zip(self.optimizers, peak_lrs, strict=True):
            optimizer.param_groups[0]["lr"] = peak_lr * lr_factor
        generator = torch.Generator(self.device).manual_seed(hyperparameters.seed * 1_000_003 + self.step)
        step_loss, figures = loss(self.step, generator)
        step_loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        with torch.no_grad():
            newest_weight = 1 - (1 - 1 / self.step) ** (AVERAGE_POWER + 1)
            torch._foreach_lerp_(self.averages, [p.detach() for p in self.parameters], newest_weight)
        return figures

    def _report(self, report: Callable[[], None]) -> None:
        weights = [p.detach().clone() for p in self.parameters]
        modes = [(module, module.training) for module in self.modules.values()]
        self.use_averages()
        for module, _ in modes:
            module.eval()
        with torch.no_grad():
            report()
            for parameter, weight in zip(self.parameters, weights, strict=True):
                parameter.copy_(weight)
        for module, training in modes:
            module.train(training)

    def _load(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for average, saved in zip(self.averages, state["averages"], strict=True):
            average.copy_(saved)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step = state["step"]
        print(f"{self.folder.name}: resumed at step {self.step}", flush=True)


def free_cores() -> int:
    """Return how many threads to train with: the number of cores that other processes leave idle, at least one.

    Two threads that share a core wait for each other at every operation and are slower than one thread.
    OMP_NUM_THREADS overrides the estimate if it is set.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return int(os.environ["OMP_NUM_THREADS"])
    cores = os.cpu_count() or 1
    other_load = os.getloadavg()[0] - torch.get_num_threads()
    return max(1, min(cores, round(cores - other_load)))


def _catch_sigterm() -> Callable[[], bool]:
    """Keep SIGTERM from killing the process; return a function that says whether SIGTERM has arrived."""
    signals = []
    signal.signal(signal.SIGTERM, lambda number, frame: signals.append(number))
    return lambda: bool(signals)
