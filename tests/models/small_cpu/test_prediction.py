"""Predictions in parts on a CPU are those of the UNet, whatever is merged into it, and plain where that cannot be."""

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
    """Two threads, and nothing recorded before."""
    monkeypatch.setattr(prediction, "_of_models", {})
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["papertown", "small_xl"])
def base(request: pytest.FixtureRequest) -> BaseModel:
    found: BaseModel = request.getfixturevalue(request.param)
    return found


def asked(base: BaseModel, rows: int, chunks: int = 1) -> tuple[torch.Tensor, Conditioning]:
    """Latents and prompts of so many rows."""
    side = base.denoiser.config["sample_size"]
    latents = torch.randn(rows, base.geometry.latent_channels, side, side)
    states = 0.1 * torch.randn(rows, 77 * chunks, base.denoiser.config["cross_attention_dim"])
    pooled = None
    if len(base.text_encoders) == 2:
        pooled = torch.randn(rows, base.text_encoders[1].config.projection_dim)
    return latents, Conditioning(states, pooled)


@torch.inference_mode()
def assert_predicts(base: BaseModel, rows: int, chunks: int = 1, **timestep: torch.dtype) -> None:
    latents, prompts = asked(base, rows, chunks)
    at = torch.tensor(int(torch.randint(1, 999, ())), **timestep)
    found = prediction.predict(base, latents, at, prompts)
    expected = conditioning.predict(base, latents, at, prompts)
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 1e-3 * expected.norm()


def recorded(base: BaseModel) -> int:
    return len(prediction._of_models[base.denoiser].scripts)


def test_what_is_predicted_is_what_the_unet_predicts(
    base: BaseModel, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    for _ in range(3):
        assert_predicts(base, 4)
        assert_predicts(base, 2, chunks=2)
        assert_predicts(base, 4, dtype=torch.float32)
        assert_predicts(base, 3)
    assert recorded(base) == 3  # three rows are no two even parts
    assert not caplog.records


def test_merged_loras_are_seen_and_gone_afterwards(base: BaseModel) -> None:
    torch.manual_seed(0)
    for _ in range(3):
        assert_predicts(base, 2)
    targets = {name: one.weight for name, one in target_modules(base).items() if name.startswith("lora_unet")}
    modules = {
        name: LoraModule(
            torch.randn(2, *weight.shape[1:]), 0.02 * torch.randn(len(weight), 2, *weight.shape[2:]), 1
        )
        for name, weight in targets.items()
    }
    latents, prompts = asked(base, 2)
    with torch.inference_mode():
        before = prediction.predict(base, latents, torch.tensor(500), prompts)
        with merged(base, [(LoraFile(modules, {}), 0.5)]):
            assert_predicts(base, 2)
            within = prediction.predict(base, latents, torch.tensor(500), prompts)
        assert (within - before).norm() > 0.01 * before.norm()
        assert torch.equal(prediction.predict(base, latents, torch.tensor(500), prompts), before)
    assert recorded(base) == 1


def test_only_so_many_shapes_are_kept(papertown: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "_MOST", 2)
    for rows in (2, 4, 6, 2):
        assert_predicts(papertown, rows)
        assert_predicts(papertown, rows)
    assert recorded(papertown) == 2


def test_what_cannot_be_recorded_is_said_once_and_predicted_plainly(
    papertown: BaseModel, caplog: pytest.LogCaptureFixture
) -> None:
    hook = papertown.denoiser.mid_block.register_forward_hook(
        lambda *given: given[2] * float(given[2].std() > 0)
    )
    try:
        for rows in (2, 2, 2, 4, 4):
            assert_predicts(papertown, rows)
    finally:
        hook.remove()
    assert prediction._of_models[papertown.denoiser].given_up
    [said] = caplog.messages
    assert "reads a tensor's value" in said


def test_what_is_recorded_goes_with_the_model(papertown: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: WeakKeyDictionary[nn.Module, prediction._Recorded] = WeakKeyDictionary()
    monkeypatch.setattr(prediction, "_of_models", kept)
    own = replace(papertown, denoiser=copy.deepcopy(papertown.denoiser))
    for _ in range(2):
        assert_predicts(own, 2)
    [recordings] = kept.values()
    assert recordings.scripts
    del own, recordings
    gc.collect()
    assert not kept
