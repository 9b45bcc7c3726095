"""One resumable training: what all of Paper Town's models have in common.

A training is steps of one batch each. What a step draws at random follows from the seed and the step's
number alone, so a training that was killed and resumed ends with what an undisturbed one would have made, up
to the order of float sums. Learning rates warm up, stay, and fall to nothing over the last part; the weights
to use are a running average over about the last tenth of the steps so far.
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

from bootstrap.files import whole_file
from bootstrap.papertown.optimizer import optimizers

WARMUP_STEPS = 60
AVERAGE_POWER = 12  # weights of the running average grow as (step ** 12)
CHECKPOINT_SECONDS = 240


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train. `samples` is the whole training, over all its sittings."""

    samples: int
    batch: int
    muon_lr: float
    adam_lr: float
    fall: float = 0.4  # the share of the training over which the learning rates fall
    seed: int = 0

    @property
    def steps(self) -> int:
        return self.samples // self.batch

    def lr_share(self, step: int) -> float:
        """The share of the full learning rates at `step`."""
        left = (self.steps - step) / (self.fall * self.steps)
        return min(1.0, (step + 1) / WARMUP_STEPS, max(left, 0.01))


class Training:
    """Trains `modules`, by name, and keeps their averages; everything is in `folder`/checkpoint.pt.

    `loss(step, generator)` gives a step's loss and the figures to print, all scalar tensors.
    """

    def __init__(self, folder: Path, modules: dict[str, nn.Module], plan: Plan) -> None:
        self.folder, self.modules, self.plan = folder, modules, plan
        self.device = next(next(iter(modules.values())).parameters()).device
        self.parameters = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
        self.averages = [p.detach().clone() for p in self.parameters]
        self.optimizers = optimizers(modules.values(), plan.muon_lr, plan.adam_lr)
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._load()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def finished(self) -> bool:
        return self.step >= self.plan.steps

    def run(
        self,
        loss: Callable[[int, torch.Generator], tuple[Tensor, dict[str, Tensor]]],
        minutes: float | None,
        report: Callable[[], None],
        report_minutes: float = 15.0,
    ) -> None:
        """Train until the plan is done, `minutes` are over or SIGTERM comes; save, and `report` now and then.

        During `report` the modules hold their averages, in evaluation mode.
        """
        began = saved = reported = time.monotonic()
        deadline = began + 60 * minutes if minutes is not None else float("inf")
        told_to_stop = _told_to_stop()
        first = self.step
        lately: dict[str, Tensor] = {}
        while not self.finished and time.monotonic() < deadline and not told_to_stop():
            figures = self._one_step(loss)
            for name, value in figures.items():
                lately[name] = value if name not in lately else lately[name] + 0.02 * (value - lately[name])
            if self.step % 10 == 0 and self.device.type == "cpu":
                torch.set_num_threads(free_cores())
            if self.step % 50 == 0:
                speed = (self.step - first) * self.plan.batch / (time.monotonic() - began)
                seen = " ".join(f"{name} {float(value):.4f}" for name, value in lately.items())
                print(
                    f"{self.folder.name} step {self.step}/{self.plan.steps} "
                    f"({self.step * self.plan.batch} samples) {seen} {speed:.1f}/s",
                    flush=True,
                )
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = time.monotonic()
            if time.monotonic() - reported > 60 * report_minutes:
                self._report(report)
                reported = time.monotonic()
        self.save()
        if not told_to_stop():
            self._report(report)
        state = "finished" if self.finished else f"stopped at step {self.step}; run it again to go on"
        print(f"{self.folder.name}: {state}", flush=True)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "step": self.step,
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "averages": self.averages,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        with whole_file(self.checkpoint) as unfinished:
            torch.save(state, unfinished)

    def use_averages(self) -> None:
        """Put the averages into the modules, for good."""
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.averages, strict=True):
                parameter.copy_(average)

    def _one_step(self, loss: Callable) -> dict[str, Tensor]:
        share = self.plan.lr_share(self.step)
        for optimizer, lr in zip(self.optimizers, (self.plan.muon_lr, self.plan.adam_lr), strict=True):
            optimizer.param_groups[0]["lr"] = lr * share
        generator = torch.Generator(self.device).manual_seed(self.plan.seed * 1_000_003 + self.step)
        value, figures = loss(self.step, generator)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        with torch.no_grad():
            toward_now = 1 - (1 - 1 / self.step) ** (AVERAGE_POWER + 1)
            torch._foreach_lerp_(self.averages, [p.detach() for p in self.parameters], toward_now)
        return figures

    def _report(self, report: Callable[[], None]) -> None:
        kept = [p.detach().clone() for p in self.parameters]
        modes = [(module, module.training) for module in self.modules.values()]
        self.use_averages()
        for module, _ in modes:
            module.eval()
        with torch.no_grad():
            report()
            for parameter, value in zip(self.parameters, kept, strict=True):
                parameter.copy_(value)
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
    """How many threads to train with: as many as there are cores that other work leaves alone, at least one.

    Two threads that share one core wait for each other at every operation, and are slower than one thread.
    OMP_NUM_THREADS, where it is set, decides instead.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return int(os.environ["OMP_NUM_THREADS"])
    cores = os.cpu_count() or 1
    others = os.getloadavg()[0] - torch.get_num_threads()
    return max(1, min(cores, round(cores - others)))


def _told_to_stop() -> Callable[[], bool]:
    """From now on SIGTERM does not kill the process; the answer says whether it came."""
    signals = []
    signal.signal(signal.SIGTERM, lambda number, frame: signals.append(number))
    return lambda: bool(signals)
