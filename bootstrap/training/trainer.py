"""The training loop: one LoRA on one dataset, a snapshot each epoch, resumable."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDPMScheduler

from bootstrap.base_model import BaseModel
from bootstrap.errors import UserError
from bootstrap.lora.kohya import LoraModule
from bootstrap.progress import Progress, Report
from bootstrap.prompting import encode
from bootstrap.settings import TrainingSection
from bootstrap.training import state
from bootstrap.training.adapters import Adapters, injected
from bootstrap.training.batches import Batch, BatchMaker
from bootstrap.training.identity import Example
from bootstrap.training.loss import min_snr_weights, weighted_mse
from bootstrap.training.schedule import epoch_batches, learning_rate_factor, steps_per_epoch


@dataclass(frozen=True)
class EpochResult:
    """What a finished epoch gives: the LoRA as it is then."""

    epoch: int
    steps: int  # finished over all epochs
    loss: float  # mean over the epoch
    seen: list[int]  # how often each example was in a batch, over all epochs so far
    modules: dict[str, LoraModule]


def train(
    base: BaseModel,
    examples: list[Example],
    size: tuple[int, int],
    settings: TrainingSection,
    state_file: Path,
    on_epoch: Callable[[EpochResult], None],
    report: Report,
) -> None:
    """Train a LoRA and hand over each epoch's; continues from `state_file` when it is there.

    Args:
        examples: pictures, captions and repeats.
        size: width and height in pixels that all pictures are fitted to.
        state_file: rewritten after each epoch, after `on_epoch` returned.
        on_epoch: called after each epoch with its LoRA.
        report: told after each step.

    Raises:
        UserError: a picture cannot be read, or the loss is not finite any more.
    """
    trainer = _Trainer(base, examples, size, settings)
    with (
        injected(
            base, settings.network_dim, settings.network_alpha, settings.text_encoder_lr > 0, settings.seed
        ) as adapters,
        _checkpointing(base, settings.gradient_checkpointing),
    ):
        trainer.run(adapters, state_file, on_epoch, report)


@contextlib.contextmanager
def _checkpointing(base: BaseModel, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    base.unet.enable_gradient_checkpointing()
    try:
        yield
    finally:
        base.unet.disable_gradient_checkpointing()


class _Trainer:
    def __init__(
        self, base: BaseModel, examples: list[Example], size: tuple[int, int], settings: TrainingSection
    ) -> None:
        self._base, self._examples, self._settings = base, examples, settings
        self._noise = DDPMScheduler.from_config(base.scheduler_config)
        self._chunks = max(len(encode.token_chunks(base, one.caption)) for one in examples)
        self._maker = BatchMaker(base, examples, size, settings)
        self._per_epoch = steps_per_epoch(examples, settings.train_batch_size)
        self._total = self._per_epoch * settings.epochs

    def run(
        self, adapters: Adapters, state_file: Path, on_epoch: Callable[[EpochResult], None], report: Report
    ) -> None:
        optimizer = self._optimizer(adapters)
        scaler = torch.amp.GradScaler("cuda", enabled=self._autocast_type() is torch.float16)
        saved = state.load(state_file, adapters, optimizer)
        first_epoch, step = (saved.epoch + 1, saved.step) if saved else (1, 0)
        seen = self._seen_before(first_epoch)
        started, first_step = time.monotonic(), step
        for epoch in range(first_epoch, self._settings.epochs + 1):
            losses = []
            for batch in self._batches(epoch):
                losses.append(self._step(adapters, optimizer, scaler, batch, step))
                step += 1
                seen.update(batch)
                rate = (step - first_step) / (time.monotonic() - started)
                report(
                    Progress(
                        "train", step, self._total, "steps", rate, f"epoch {epoch}, loss {losses[-1]:.4f}"
                    )
                )
            shown = [seen[index] for index in range(len(self._examples))]
            on_epoch(EpochResult(epoch, step, sum(losses) / len(losses), shown, adapters.modules()))
            state.save(state_file, adapters, optimizer, epoch, step)

    def _batches(self, epoch: int) -> list[list[int]]:
        return epoch_batches(self._examples, self._settings.train_batch_size, self._settings.seed, epoch)

    def _seen_before(self, epoch: int) -> Counter[int]:
        return Counter(index for past in range(1, epoch) for batch in self._batches(past) for index in batch)

    def _optimizer(self, adapters: Adapters) -> torch.optim.Optimizer:
        groups = [
            {"params": adapters.unet_parameters(), "lr": self._settings.unet_lr},
            {"params": adapters.text_encoder_parameters(), "lr": self._settings.text_encoder_lr},
        ]
        optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]], weight_decay=0.01, fused=True
        )
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"]
        return optimizer

    def _step(
        self, adapters: Adapters, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler,
        pictures: list[int], step: int,
    ) -> float:  # fmt: skip
        factor = learning_rate_factor(self._settings, step, self._total)
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor
        batch = self._maker.make(pictures, step)
        with self._autocast():
            loss = self._loss(batch)
        if not torch.isfinite(loss):
            raise UserError(
                f"training: the loss is not a finite number any more at step {step + 1}; lower training.unet_lr "
                f'(it is {self._settings.unet_lr:g}) and text_encoder_lr, or set mixed_precision = "no"'
            )
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(adapters.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return float(loss.detach())

    def _loss(self, batch: Batch) -> torch.Tensor:
        noisy = self._noise.add_noise(batch.latents, batch.noise, batch.timesteps)
        v_prediction = self._base.prediction_type == "v_prediction"
        velocity = self._noise.get_velocity(batch.latents, batch.noise, batch.timesteps)
        target = velocity if v_prediction else batch.noise
        with torch.set_grad_enabled(self._settings.text_encoder_lr > 0):
            states = encode.encode(self._base, batch.captions, self._chunks)
        noisy = noisy.to(self._base.dtype)
        predicted = self._base.unet(noisy, batch.timesteps, states, return_dict=False)[0]
        gamma, weights = self._settings.min_snr_gamma, None
        if gamma is not None:
            weights = min_snr_weights(self._noise.alphas_cumprod, batch.timesteps, gamma, v_prediction)
        return weighted_mse(predicted.float(), target.float(), weights)

    def _autocast_type(self) -> torch.dtype | None:
        wanted = self._settings.mixed_precision
        on_gpu = self._base.device.type == "cuda"
        if wanted == "auto":
            wanted = ("bf16" if torch.cuda.is_bf16_supported() else "fp16") if on_gpu else "no"
        if wanted == "fp16" and not on_gpu:
            raise UserError('training.mixed_precision: "fp16" needs a GPU; use "auto", "bf16" or "no"')
        return {"no": None, "fp16": torch.float16, "bf16": torch.bfloat16}[wanted]

    @contextlib.contextmanager
    def _autocast(self) -> Iterator[None]:
        kind = self._autocast_type()
        if kind is None:
            yield
            return
        with torch.autocast(self._base.device.type, kind):
            yield
