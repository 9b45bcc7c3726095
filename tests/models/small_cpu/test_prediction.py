"""Predictions in parts on a CPU equal the UNet's, also with LoRAs merged in, and fall back to eager ones."""

import copy
import gc
from collections.abc import Iterator
from dataclasses import replace
from weakref import WeakKeyDictionary

import pytest
import torch
from torch import nn

from bootstrap.lora.kohya import LoraFile, LoraModule
from bootstrap.lora.merge import merged
from bootstrap.lora.targets import target_modules
from bootstrap.models import conditioning
from bootstrap.models.conditioning import Conditioning
from bootstrap.models.family import BaseModel
from bootstrap.models.small_cpu import prediction


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set two threads, and start without recordings."""
    monkeypatch.setattr(prediction, "_of_models", {})
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["papertown", "small_xl"])
def base(request: pytest.FixtureRequest) -> BaseModel:
    model: BaseModel = request.getfixturevalue(request.param)
    return model


def random_inputs(base: BaseModel, rows: int, chunks: int = 1) -> tuple[torch.Tensor, Conditioning]:
    """Return random latents and prompts with this many rows."""
    side = base.denoiser.config["sample_size"]
    latents = torch.randn(rows, base.geometry.latent_channels, side, side)
    states = 0.1 * torch.randn(rows, 77 * chunks, base.denoiser.config["cross_attention_dim"])
    pooled = None
    if len(base.text_encoders) == 2:
        pooled = torch.randn(rows, base.text_encoders[1].config.projection_dim)
    return latents, Conditioning(states, pooled)


@torch.inference_mode()
def assert_predicts(base: BaseModel, rows: int, chunks: int = 1, **timestep: torch.dtype) -> None:
    latents, prompts = random_inputs(base, rows, chunks)
    at = torch.tensor(int(torch.randint(1, 999, ())), **timestep)
    actual = prediction.predict(base, latents, at, prompts)
    expected = conditioning.predict(base, latents, at, prompts)
    assert actual.shape == expected.shape
    assert actual.dtype == torch.float32
    assert (actual - expected).norm() < 1e-3 * expected.norm()


def recorded(base: BaseModel) -> int:
    return len(prediction._of_models[base.denoiser].scripts)


def test_the_prediction_equals_the_unets(base: BaseModel, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    for _ in range(3):
        assert_predicts(base, 4)
        assert_predicts(base, 2, chunks=2)
        assert_predicts(base, 4, dtype=torch.float32)
        assert_predicts(base, 3)
    assert recorded(base) == 3  # three rows cannot be split into two equal parts
    assert not caplog.records


def test_merged_loras_take_effect_and_are_gone_afterwards(base: BaseModel) -> None:
    torch.manual_seed(0)
    for _ in range(3):
        assert_predicts(base, 2)
    targets = {
        name: module.weight for name, module in target_modules(base).items() if name.startswith("lora_unet")
    }
    modules = {
        name: LoraModule(
            torch.randn(2, *weight.shape[1:]), 0.02 * torch.randn(len(weight), 2, *weight.shape[2:]), 1
        )
        for name, weight in targets.items()
    }
    latents, prompts = random_inputs(base, 2)
    with torch.inference_mode():
        before = prediction.predict(base, latents, torch.tensor(500), prompts)
        with merged(base, [(LoraFile(modules, {}), 0.5)]):
            assert_predicts(base, 2)
            within = prediction.predict(base, latents, torch.tensor(500), prompts)
        assert (within - before).norm() > 0.01 * before.norm()
        assert torch.equal(prediction.predict(base, latents, torch.tensor(500), prompts), before)
    assert recorded(base) == 1


def test_the_number_of_recorded_shapes_is_limited(
    papertown: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "_MOST", 2)
    for rows in (2, 4, 6, 2):
        assert_predicts(papertown, rows)
        assert_predicts(papertown, rows)
    assert recorded(papertown) == 2


def test_what_cannot_be_recorded_is_reported_once_and_predicted_eagerly(
    papertown: BaseModel, caplog: pytest.LogCaptureFixture
) -> None:
    hook = papertown.denoiser.mid_block.register_forward_hook(
        lambda module, args, output: output * float(output.std() > 0)
    )
    try:
        for rows in (2, 2, 2, 4, 4):
            assert_predicts(papertown, rows)
    finally:
        hook.remove()
    assert prediction._of_models[papertown.denoiser].given_up
    [message] = caplog.messages
    assert "reads a tensor's value" in message


def test_recordings_are_freed_with_the_model(papertown: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    by_model: WeakKeyDictionary[nn.Module, prediction._Recorded] = WeakKeyDictionary()
    monkeypatch.setattr(prediction, "_of_models", by_model)
    model = replace(papertown, denoiser=copy.deepcopy(papertown.denoiser))
    for _ in range(2):
        assert_predicts(model, 2)
    [recordings] = by_model.values()
    assert recordings.scripts
    del model, recordings
    gc.collect()
    assert not by_model
