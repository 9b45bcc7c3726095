"""The training loop: one LoRA on one dataset, a snapshot each epoch, resumable."""

import contextlib
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bootstrap.errors import UserError
from bootstrap.lora.kohya import LoraModule
from bootstrap.models import conditioning, denormals, small_cpu
from bootstrap.models.conditioning import Conditioning
from bootstrap.models.family import BaseModel
from bootstrap.models.training_pass import Inputs
from bootstrap.progress import Progress, Report
from bootstrap.project.settings import TrainingSection
from bootstrap.prompting import encode
from bootstrap.training import freed_memory, optimizers, state
from bootstrap.training.adapters import Adapters, Size, injected
from bootstrap.training.batches import Batch, BatchMaker, plan_of_step
from bootstrap.training.examples import check_captions
from bootstrap.training.identity import Example
from bootstrap.training.loss import weighted_mse
from bootstrap.training.passes import CudaRecorder, Passes, Recorder
from bootstrap.training.schedule import Schedule, learning_rate_factor
from bootstrap.training.state import SavedStep


@dataclass(frozen=True)
class EpochResult:
    """The result of a finished epoch: the LoRA at that point."""

    epoch: int
    steps: int  # finished over all epochs
    loss: float  # mean over the epoch
    seen: list[int]  # how often each picture of the dataset was in a batch, over all epochs so far
    modules: dict[str, LoraModule]


@denormals.as_zero()
def train(
    base: BaseModel,
    examples: list[Example],
    settings: TrainingSection,
    state_file: Path,
    cache_folder: Path,
    on_epoch: Callable[[EpochResult], None],
    report: Report,
) -> None:
    """Train a LoRA and pass it to `on_epoch` after each epoch; resume from `state_file` if that exists.

    Args:
        examples: the pictures of the dataset, then the regularization pictures.
        state_file: rewritten after each epoch, once `on_epoch` has returned.
        cache_folder: the cache of encoded pictures, shared by all trainings of a project.
        on_epoch: called after each epoch with its LoRA.
        report: receives the schedule before the first step, and the progress after each step.

    Raises:
        UserError: a picture cannot be read, a caption has too many tokens, the GPU runs out of memory, or
            the loss is no longer finite.
    """
    with _memory_errors_explained(settings):
        trainer = _Trainer(base, examples, settings, cache_folder)
        with _weights_in(base, trainer.precision):
            memory_note = trainer.memory_note()  # computed from the base model alone
            with (
                injected(
                    base,
                    Size(settings.network_dim, settings.network_alpha),
                    settings.text_encoder_lr > 0,
                    settings.seed,
                    trainer.half_precision,
                    Size(settings.conv_dim, settings.conv_alpha) if settings.conv_dim else None,
                ) as adapters,
                _checkpointing(base, settings.gradient_checkpointing),
                _keeping_freed_memory(base),
                _memory_errors_explained(
                    settings
                ),  # here too: before the weights return, which need the room
            ):
                trainer.train(adapters, state_file, on_epoch, report, memory_note)


@contextlib.contextmanager
def _weights_in(base: BaseModel, precision: torch.dtype) -> Iterator[None]:
    """Convert the frozen weights to the type of the forward pass; the CPU's memory holds the originals meanwhile."""
    parts = (base.denoiser, *base.text_encoders)
    mismatched = [
        parameter for part in parts for parameter in part.parameters() if parameter.dtype is not precision
    ]
    originals = [(parameter, parameter.data.cpu()) for parameter in mismatched]
    try:
        for parameter, _ in originals:
            parameter.data = parameter.data.to(precision)
        yield
    finally:
        for parameter, weight in originals:
            parameter.data = weight.to(parameter.device)


@contextlib.contextmanager
def _checkpointing(base: BaseModel, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    denoiser: Any = base.denoiser
    denoiser.enable_gradient_checkpointing()
    try:
        yield
    finally:
        denoiser.disable_gradient_checkpointing()


def _keeping_freed_memory(base: BaseModel) -> contextlib.AbstractContextManager[None]:
    """Keep freed memory where that saves time: small models free nothing large."""
    return (
        freed_memory.kept() if base.device.type == "cpu" and not base.is_small else contextlib.nullcontext()
    )


@contextlib.contextmanager
def _memory_errors_explained(settings: TrainingSection) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        # The frames hold the activations; the weights need that room to return.
        traceback.clear_frames(error.__traceback__)
        raise UserError(f"training: the GPU is out of memory; {_remedies(settings)}") from error


def _remedies(settings: TrainingSection) -> str:
    """Return the settings that reduce the memory of a training, as text."""
    remedies = []
    if settings.train_batch_size > 1:
        remedies.append(f"lower train_batch_size (it is {settings.train_batch_size})")
    if not settings.gradient_checkpointing:
        remedies.append("set gradient_checkpointing = true")
    remedies += ["set text_encoder_lr = 0"] if settings.text_encoder_lr else []
    remedies.append("lower resolution or network_dim")
    return ", or ".join(remedies)


class _Trainer:
    def __init__(
        self, base: BaseModel, examples: list[Example], settings: TrainingSection, cache_folder: Path
    ) -> None:
        self._base, self._examples, self._settings = base, examples, settings
        self.precision = precision_of(settings, base.device)  # of the forward pass
        self._noise = base.family.noise(base, settings.flow)
        check_captions(
            base.spec, [(example.path, example.caption) for example in examples], settings.max_token_length
        )
        self._schedule = Schedule(examples, settings)
        if settings.lr_warmup_steps >= self._schedule.total_steps:  # a grown dataset may be a little shorter
            raise UserError(f"training: {settings.warmup_problem(self._schedule.total_steps)}")
        self._length = _length(base, examples, settings, self._schedule)
        self._batch_maker = BatchMaker(base, examples, settings, cache_folder)
        self._encoded: dict[str, Conditioning] = {}
        self._tokens: dict[str, torch.Tensor] = {}
        self._recorder = recorder_for(base.device, settings)

    @property
    def half_precision(self) -> bool:
        """Whether the forward pass runs in float16 or bfloat16."""
        return self.precision is not torch.float32

    def train(
        self,
        adapters: Adapters,
        state_file: Path,
        on_epoch: Callable[[EpochResult], None],
        report: Report,
        memory_note: str,
    ) -> None:
        optimizer = optimizers.make_optimizer(
            self._settings, adapters.denoiser_parameters(), adapters.text_encoder_parameters()
        )
        scaler = torch.amp.GradScaler("cuda", enabled=self.precision is torch.float16)
        saved = state.load(state_file, adapters, optimizer, scaler)
        first_epoch, step = (saved.epoch + 1, saved.step) if saved else (1, 0)
        total = self._schedule.total_steps
        report(Progress("train", step, total, "steps", note=self._schedule.describe() + memory_note))
        started, first_step = time.monotonic(), step
        with self._passes(adapters, scaler) as passes:
            for epoch in range(first_epoch, self._settings.epochs + 1):
                losses = []
                while step < self._schedule.epoch_end(epoch):
                    losses.append(self._step(passes, adapters, optimizer, scaler, step))
                    step += 1
                    rate = (step - first_step) / (time.monotonic() - started)
                    note = f"epoch {epoch}, loss {losses[-1]:.4f}"
                    report(Progress("train", step, total, "steps", rate, note, losses[-1]))
                mean_loss = sum(losses) / len(losses)
                on_epoch(EpochResult(epoch, step, mean_loss, self._schedule.seen(step), adapters.modules()))
                state.save(state_file, adapters, optimizer, scaler, SavedStep(epoch, step))

    @contextlib.contextmanager
    def _passes(
        self, adapters: Adapters, scaler: torch.amp.GradScaler
    ) -> Iterator[Passes | small_cpu.RecordedPasses]:
        """Yield what runs the pass of each step, in the fastest way that this machine supports."""

        def plain(inputs: Inputs) -> torch.Tensor:
            return self._pass(adapters, scaler, inputs)

        parameters = adapters.parameters()
        if recorded_on_cpu(self._base, self._settings):
            with small_cpu.passes(plain, parameters, self._settings.train_batch_size) as passes:
                yield passes
        else:
            yield Passes(plain, parameters, self._recorder)

    def memory_note(self) -> str:
        """Return the memory forecast, and what helps if it exceeds the memory; empty for models that fit anywhere."""
        if self._base.is_small:
            return ""
        from bootstrap.training import memory

        largest = max((example.size for example in self._examples), key=lambda size: size[0] * size[1])
        needed = memory.predicted_bytes(
            self._base, self._settings, largest, self._length, self.half_precision
        )
        available = memory.available_bytes(self._base.device)
        note = f"; about {needed / 2**30:.1f} GiB of memory"
        if available is None or needed <= available:
            return note
        return f"{note}, but only {available / 2**30:.1f} GiB are available: if it fails, {_remedies(self._settings)}"

    def _step(
        self,
        passes: Passes | small_cpu.RecordedPasses,
        adapters: Adapters,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        step: int,
    ) -> float:
        factor = learning_rate_factor(self._settings, step, self._schedule.total_steps)
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor
        pictures = self._schedule.pictures(step)
        batch = self._batch_maker.make_batch(pictures, step)
        weight = self._settings.prior_loss_weight if self._examples[pictures[0]].is_regularization else 1.0
        loss = passes.run(self._inputs(batch, weight))
        if not torch.isfinite(loss):
            raise UserError(
                f"training: the loss is no longer finite at step {step + 1}; lower training.unet_lr "
                f'(it is {self._settings.unet_lr:g}) and text_encoder_lr, or set mixed_precision = "no"; '
                "the snapshots of earlier epochs are kept"
            )
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(adapters.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return float(loss)

    def _inputs(self, batch: Batch, weight: float) -> Inputs:
        """Return all inputs of a step's pass, as tensors on the device.

        Args:
            weight: the loss weight of this batch.
        """
        device = self._base.device
        drawn = (batch.latents, batch.noise, batch.timesteps)
        inputs = {
            "noisy": self._noise.add(*drawn),
            "target": self._noise.target(*drawn).float(),
            "timesteps": batch.timesteps,
            "weight": torch.tensor(weight, device=device),
        }
        weights = self._noise.loss_weights(batch.timesteps, self._settings.min_snr_gamma)
        if weights is not None:
            inputs["weights"] = weights
        return inputs | self._caption_inputs(batch.captions)

    def _caption_inputs(self, texts: list[str]) -> Inputs:
        """Return tokens if the text encoders are trained, or else the captions' encodings, each computed only once."""
        if self._settings.text_encoder_lr > 0:
            distinct = list(dict.fromkeys(texts))
            # Encode duplicates too, so that the number of captions does not call for another recording.
            if self._recorder or (len(distinct) > 1 and recorded_on_cpu(self._base, self._settings)):
                distinct = texts
            inputs = {"tokens": torch.cat([self._tokens_of(text) for text in distinct])}
            if len(distinct) < len(texts):
                rows = [distinct.index(text) for text in texts]
                inputs["rows"] = torch.tensor(rows, device=self._base.device)
            return inputs
        with torch.no_grad():
            for text in texts:
                if text not in self._encoded:
                    self._encoded[text] = encode.encode(
                        self._base, [text], self._length, self._settings.clip_skip
                    )
        captions = conditioning.joined([self._encoded[text] for text in texts])
        inputs = {"states": captions.states}
        return inputs if captions.pooled is None else inputs | {"pooled": captions.pooled}

    def _tokens_of(self, text: str) -> torch.Tensor:
        if text not in self._tokens:
            self._tokens[text] = self._base.family.tokens(self._base, [text], self._length)
        return self._tokens[text]

    def _pass(self, adapters: Adapters, scaler: torch.amp.GradScaler, inputs: Inputs) -> torch.Tensor:
        """Run forward and backward: return the loss, add to the gradients.

        Recording requires the same operations for all inputs of one shape.
        """
        adapters.fold()
        predicted = conditioning.predict(
            self._base, inputs["noisy"], inputs["timesteps"], self._conditioning(inputs)
        )
        loss = inputs["weight"] * weighted_mse(predicted, inputs["target"], inputs.get("weights"))
        scaler.scale(loss).backward()
        adapters.unfold()
        return loss.detach()

    def _conditioning(self, inputs: Inputs) -> Conditioning:
        if "tokens" not in inputs:
            return Conditioning(inputs["states"], inputs.get("pooled"))
        family, clip_skip = self._base.family, self._settings.clip_skip
        encoded = family.encode_tokens(self._base, inputs["tokens"], self._length, clip_skip)
        return encoded.rows(inputs["rows"]) if "rows" in inputs else encoded


def recorded_on_cpu(base: BaseModel, settings: TrainingSection) -> bool:
    """Return whether passes are recorded and replayed on a CPU."""
    # The operations of a large model take so long that recording gains nothing.
    return base.device.type == "cpu" and base.is_small and not settings.gradient_checkpointing


def recorder_for(device: torch.device, settings: TrainingSection) -> Recorder | None:
    """Return the recorder of CUDA graphs; None where passes run eagerly."""
    # Gradient checkpointing reads the random number generator's state in the pass, which no graph allows.
    if device.type != "cuda" or settings.gradient_checkpointing:
        return None
    return CudaRecorder()


def precision_of(settings: TrainingSection, device: torch.device) -> torch.dtype:
    """Return the data type of a training's forward pass.

    Raises:
        UserError: the device does not support the type.
    """
    wanted, on_gpu = settings.mixed_precision, device.type == "cuda"
    if wanted == "auto":
        wanted = ("bf16" if torch.cuda.is_bf16_supported() else "fp16") if on_gpu else "no"
    if wanted == "fp16" and not on_gpu:
        raise UserError('training.mixed_precision: "fp16" needs a GPU; use "auto", "bf16" or "no"')
    return {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[wanted]


def _length(base: BaseModel, examples: list[Example], settings: TrainingSection, plan: Schedule) -> int:
    """Return the length that all captions are encoded at: that of the longest, in the family's unit.

    A caption of several chunks may need one more in another order, as a chunk ends at a comma.
    """
    longest = max(base.family.length(base, example.caption) for example in examples)
    if longest == 1 or not (settings.shuffle_caption or settings.caption_tag_dropout_rate):
        return longest
    texts = {
        text
        for step in range(plan.total_steps)
        for _, text in plan_of_step(examples, settings, plan.pictures(step), step)
    }
    return max(longest, *(base.family.length(base, text) for text in texts))
