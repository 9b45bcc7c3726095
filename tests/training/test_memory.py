"""The memory forecast of a training, before it starts."""

from pathlib import Path

import pytest
import torch

from bootstrap.models import loading, specs
from bootstrap.models.families import stable_diffusion
from bootstrap.models.family import BaseModel
from bootstrap.project.settings import TrainingSection
from bootstrap.training import memory, trainer
from bootstrap.training.identity import Example
from tests.sd_checkpoint import small_sdxl


def predicted(base: BaseModel, size: tuple[int, int] = (128, 128), **changes: object) -> int:
    settings = TrainingSection.model_validate({"network_dim": 8, **changes})
    return memory.predicted_bytes(base, settings, size, 1, half_precision=False)


def weights(base: BaseModel) -> int:
    models = base.modules
    return sum(tensor.numel() * tensor.element_size() for model in models for tensor in model.parameters())


def test_it_grows_with_what_is_computed_and_falls_with_checkpointing(papertown: BaseModel) -> None:
    batch_of_1, batch_of_4 = predicted(papertown), predicted(papertown, train_batch_size=4)
    assert weights(papertown) < batch_of_1 < batch_of_4
    assert predicted(papertown, train_batch_size=4, gradient_checkpointing=True) < batch_of_4
    assert predicted(papertown, size=(256, 128)) > batch_of_1
    assert predicted(papertown, text_encoder_lr=0) < batch_of_1
    # Activations are proportional to the batch size.
    batch_of_8 = predicted(papertown, train_batch_size=8)
    assert batch_of_8 - batch_of_4 == pytest.approx(4 / 3 * (batch_of_4 - batch_of_1), rel=0.1)


def test_it_is_forecast_for_stable_diffusion_xl_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, configs = small_sdxl(tmp_path, stable_diffusion.CONFIGS)
    monkeypatch.setattr(stable_diffusion, "CONFIGS", configs)
    base = loading.hold(specs.find(str(path)))
    assert weights(base) < predicted(base, (64, 64)) < predicted(base, (64, 64), train_batch_size=4)
    loading.release()


def test_the_schedule_reports_it_and_what_helps(
    papertown: BaseModel, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(papertown.__dict__, "is_small", False)
    monkeypatch.setattr(memory, "available_bytes", lambda _: 2**20)
    path = originals / "badge.png"
    notes: list[str] = []
    trainer.train(
        papertown,
        [Example(str(path), "badge", "woman", 1, (128, 128))],
        TrainingSection(network_dim=4, epochs=1, repeats=1),
        tmp_path / "s",
        tmp_path,
        lambda _: None,
        lambda progress: notes.append(progress.note),
    )
    assert (
        "about 0.1 GiB of memory, but only 0.0 GiB are available: if it fails, set gradient_checkpointing"
        in notes[0]
    )
    assert papertown.device.type != "meta" and not torch.is_inference_mode_enabled()
