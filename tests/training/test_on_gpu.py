"""Training on a GPU: recorded steps equal eager steps in each precision, and memory is about the forecast."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from bootstrap.errors import UserError
from bootstrap.lora.kohya import LoraModule
from bootstrap.models import loading, specs
from bootstrap.models.families import stable_diffusion
from bootstrap.models.families.sd1 import SD1
from bootstrap.models.family import BaseModel
from bootstrap.project.settings import TrainingSection
from bootstrap.training import memory, passes, trainer
from bootstrap.training.identity import Example
from bootstrap.training.trainer import EpochResult
from tests.training.test_trainer import run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")

Modules = dict[str, LoraModule]
GIB = 2**30


def examples(
    originals: Path, *names: str, sizes: tuple[tuple[int, int], ...] = ((128, 128),)
) -> list[Example]:
    return [
        Example(
            str(originals / f"{name}.png"), name, (originals / f"{name}.txt").read_text(), 4,
            sizes[index % len(sizes)],
        )
        for index, name in enumerate(names)
    ]  # fmt: skip


def small(**changes: object) -> TrainingSection:
    values = {"repeats": 4, "epochs": 3, "network_dim": 4, "network_alpha": 2, "unet_lr": 2e-3}
    return TrainingSection.model_validate({**values, **changes})


def difference(first: Modules, second: Modules) -> float:
    """Return the distance of two LoRAs' weight deltas, relative to the length of the first."""
    assert first.keys() == second.keys()
    squared_distance = sum(
        float((first[name].delta() - second[name].delta()).square().sum()) for name in first
    )
    length = sum(float(module.delta().square().sum()) for module in first.values())
    return float((squared_distance / length) ** 0.5)


def assert_near(what: str, expected: EpochResult, measured: EpochResult, again: EpochResult) -> None:
    """Assert that a LoRA is about as near the expected one as a repetition of the expected training is."""
    distance, noise = (difference(expected.modules, result.modules) for result in (measured, again))
    print(f"{what}: {distance:.2e}, the same once more: {noise:.2e}")
    assert distance <= max(0.05, 3 * noise)


@dataclass
class Seen:
    """The passes of the trainings in a test."""

    all: list[passes.Passes] = field(default_factory=list)

    @property
    def graphs(self) -> int:
        """Return the number of graphs at the end; 0 if recording was abandoned."""
        (runner,) = self.all
        return len(runner._graphs) if runner._recorder is not None else 0


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    watched_passes = Seen()

    class Watched(passes.Passes):
        def __init__(
            self, plain: passes.Pass, parameters: list[nn.Parameter], recorder: passes.Recorder | None
        ) -> None:
            super().__init__(plain, parameters, recorder)
            watched_passes.all.append(self)

    monkeypatch.setattr(trainer, "Passes", Watched)
    return watched_passes


@pytest.fixture
def plain(papertown: BaseModel, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[EpochResult]]:
    """Return `run` without graphs."""

    def without(*arguments: object) -> list[EpochResult]:
        with monkeypatch.context() as patch:
            patch.setattr(trainer, "recorder_for", lambda *_: None)
            return run(*arguments)  # type: ignore[arg-type]

    return without


@pytest.mark.parametrize("precision", ["bf16", "fp16", "no"])
@pytest.mark.parametrize("text_encoder_lr", [0.0, 2e-4])
def test_recorded_steps_train_the_lora_of_plain_ones(
    papertown: BaseModel, originals: Path, tmp_path: Path, seen: Seen, plain: Callable[..., list[EpochResult]],
    caplog: pytest.LogCaptureFixture, precision: str, text_encoder_lr: float,
) -> None:  # fmt: skip
    shown = examples(originals, "badge", "crown")
    settings = small(mixed_precision=precision, text_encoder_lr=text_encoder_lr, min_snr_gamma=5)
    before = {name: tensor.clone() for name, tensor in papertown.denoiser.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        recorded = run(papertown, shown, settings, tmp_path / "a")[-1]
    assert not caplog.messages
    assert seen.graphs == 1
    expected = plain(papertown, shown, settings, tmp_path / "b")[-1]
    again = plain(papertown, shown, settings, tmp_path / "c")[-1]
    assert_near(f"{precision}, text encoder {text_encoder_lr}: graph from plain", expected, recorded, again)
    assert recorded.loss == pytest.approx(expected.loss, rel=0.02)
    after = papertown.denoiser.state_dict()
    assert all(
        after[name].dtype is tensor.dtype and torch.equal(after[name], tensor)
        for name, tensor in before.items()
    )
    assert all(tensor.is_cuda for tensor in after.values())


def test_two_sizes_and_regularization_have_a_graph_for_each_size(
    papertown: BaseModel, originals: Path, tmp_path: Path, seen: Seen, plain: Callable[..., list[EpochResult]],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    regularization = Example(str(originals / "scarf.png"), "scarf", "woman", 1, (128, 128), True)
    shown = [*examples(originals, "badge", "crown", sizes=((128, 128), (192, 96))), regularization]
    settings = small(epochs=2, prior_loss_weight=0.5, train_batch_size=2, flip_aug=True)
    with caplog.at_level(logging.WARNING):
        recorded = run(papertown, shown, settings, tmp_path / "a")[-1]
    assert not caplog.messages
    assert seen.graphs == 2
    expected = plain(papertown, shown, settings, tmp_path / "b")[-1]
    again = plain(papertown, shown, settings, tmp_path / "c")[-1]
    assert_near("two sizes: graph from plain", expected, recorded, again)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_killed_training_ends_as_an_undisturbed_one(
    papertown: BaseModel, originals: Path, tmp_path: Path, precision: str
) -> None:
    shown, settings = examples(originals, "badge", "crown"), small(mixed_precision=precision)
    whole = run(papertown, shown, settings, tmp_path / "whole")
    again = run(papertown, shown, settings, tmp_path / "again")
    run(papertown, shown, settings, tmp_path / "state", whole[0].steps + 3)
    resumed = run(papertown, shown, settings, tmp_path / "state")
    assert [result.epoch for result in resumed] == [2, 3]
    assert_near(f"{precision}: resumed from undisturbed", whole[-1], resumed[-1], again[-1])


@pytest.mark.parametrize("changes", [{"gradient_checkpointing": True}, {"conv_dim": 2, "conv_alpha": 1}])
def test_checkpointing_and_convolutions_train_on_a_gpu_too(
    papertown: BaseModel, originals: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    changes: dict[str, object],
) -> None:  # fmt: skip
    results = run(papertown, examples(originals, "badge"), small(**changes), tmp_path / "s")
    assert not caplog.messages
    assert all(bool(torch.isfinite(module.up).all()) for module in results[-1].modules.values())
    if "conv_dim" not in changes:
        usual = run(papertown, examples(originals, "badge"), small(), tmp_path / "t")
        assert difference(usual[-1].modules, results[-1].modules) <= 0.1


def test_it_trains_stable_diffusion_xl(
    small_xl: BaseModel, originals: Path, tmp_path: Path, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    shown = examples(originals, "badge", "crown", sizes=((64, 64),))
    results = run(small_xl, shown, small(epochs=1, train_batch_size=2), tmp_path / "s")
    assert not caplog.messages
    assert seen.graphs == 1
    assert all(bool(torch.isfinite(module.up).all()) for module in results[-1].modules.values())


def test_out_of_memory_names_the_settings_that_help(
    papertown: BaseModel, originals: Path, tmp_path: Path
) -> None:
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    shown = examples(originals, "badge", sizes=((512, 512),))
    settings = small(train_batch_size=64, repeats=64)
    try:
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + GIB) / whole)
        with pytest.raises(UserError, match=r"lower train_batch_size \(it is 64\)"):
            run(papertown, shown, settings, tmp_path / "s")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert not (tmp_path / "s").exists()
    assert papertown.dtype is torch.float16
    # The memory is free again, and the model is unchanged.
    assert run(papertown, shown, small(epochs=1), tmp_path / "t")[-1].loss < 1


def test_a_gpu_trains_nearly_what_a_cpu_does(
    papertown: BaseModel, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small(epochs=1, repeats=8, mixed_precision="no")
    shown = examples(originals, "badge")
    on_gpu = run(papertown, shown, settings, tmp_path / "gpu" / "s")[-1]
    monkeypatch.setattr(loading, "best_device", lambda: torch.device("cpu"))
    loading.release()
    try:
        on_cpu = run(loading.hold(papertown.spec), shown, settings, tmp_path / "cpu" / "s")[-1]
    finally:
        loading.release()
    distance = difference(on_cpu.modules, on_gpu.modules)
    print(f"GPU {distance:.2e} from CPU; losses {on_gpu.loss:.5f} and {on_cpu.loss:.5f}")
    assert on_gpu.loss == pytest.approx(on_cpu.loss, rel=0.01)
    assert distance <= 0.25  # Adam's first steps go by the signs of gradients, however small these are


@pytest.fixture(scope="module")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """Return a model of Stable Diffusion 1.5's size with random weights, made on the GPU, and a made-up hash."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    configs = stable_diffusion.CONFIGS / "sd15"
    torch.manual_seed(0)
    with torch.device("cuda"):
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(configs / "unet"))
        vae = AutoencoderKL.from_config(AutoencoderKL.load_config(configs / "vae"))
        text = CLIPTextModel(CLIPTextConfig.from_pretrained(configs / "text_encoder"))
    for part in (unet, vae, text):
        part.half().requires_grad_(False).eval()
    unet.to(memory_format=torch.channels_last)
    vae.to(memory_format=torch.channels_last)
    return BaseModel(
        specs.find("papertown"), "0" * 64, SD1,
        SD1.geometry_of(lambda part: {"unet": unet.config, "vae": vae.config}[part]), unet, vae, [text],
        [CLIPTokenizer.from_pretrained(configs / "tokenizer")],
        dict(DDIMScheduler.from_config(DDIMScheduler.load_config(configs / "scheduler")).config),
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"mixed_precision": "bf16"},
        {"mixed_precision": "fp16", "train_batch_size": 4},
        {"mixed_precision": "no"},
        {"mixed_precision": "bf16", "train_batch_size": 4, "text_encoder_lr": 0},
        {"mixed_precision": "bf16", "train_batch_size": 4, "gradient_checkpointing": True},
        {"mixed_precision": "bf16", "conv_dim": 8, "conv_alpha": 4},
    ],
    ids=lambda changes: ",".join(f"{key}={value}" for key, value in changes.items()),
)
def test_the_memory_is_about_the_forecast(
    sd15: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: Seen, changes: dict[str, object]
) -> None:
    Image.effect_noise((512, 512), 90).convert("RGB").save(tmp_path / "noise.png")
    shown = [Example(str(tmp_path / "noise.png"), "noise", "woman", 1, (512, 512))]
    settings = small(**{"network_dim": 16, "epochs": 1, "max_train_steps": 5, **changes})
    forecasts: list[int] = []
    predict = memory.predicted_bytes

    def watched(*arguments: object) -> int:
        forecasts.append(predict(*arguments))  # type: ignore[arg-type]
        return forecasts[-1]

    monkeypatch.setattr(memory, "predicted_bytes", watched)
    run(sd15, shown, settings, tmp_path / "first", stop_at=0)  # encodes the picture into the cache
    allocated_by_others = torch.cuda.memory_allocated() - weights(sd15)  # by other tests' models
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    (result,) = run(sd15, shown, settings, tmp_path / "state")
    allocated = torch.cuda.max_memory_allocated() - allocated_by_others
    reserved = torch.cuda.max_memory_reserved() - allocated_by_others
    print(
        f"{changes}: forecast {forecasts[-1] / GIB:.2f} GiB, allocated {allocated / GIB:.2f}, "
        f"reserved {reserved / GIB:.2f}, "
        f"{seen.all[-1]._recorder is not None and len(seen.all[-1]._graphs)} graphs, loss {result.loss:.3f}"
    )
    assert 0.7 < allocated / forecasts[-1] < 1.3
    assert reserved / forecasts[-1] < 1.6


def weights(base: BaseModel) -> int:
    models = base.modules
    tensors = [tensor for model in models for tensor in (*model.parameters(), *model.buffers())]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def test_drawing_on_a_gpu_is_drawing_on_a_cpu(papertown: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from bootstrap.drawing import engine
    from bootstrap.project.settings import SAMPLERS
    from bootstrap.shots import Shot

    monkeypatch.setattr(loading, "best_device", lambda: torch.device("cpu"))
    loading.release()
    on_cpu = loading.hold(papertown.spec)
    loading.release()
    means = {}
    for sampler in SAMPLERS:
        shot = Shot(
            "woman, (smile:1.2)", "hat", 7, 8, sampler, 4.0, 128, 128, "papertown", papertown.hash, ()
        )
        ((from_gpu,),) = engine.draw_batches(papertown, [shot], {}, 1)
        ((from_cpu,),) = engine.draw_batches(on_cpu, [shot], {}, 1)
        difference = np.asarray(from_gpu.picture, np.int16) - np.asarray(from_cpu.picture, np.int16)
        means[sampler] = float(np.abs(difference).mean())
    print(
        f"mean difference of pixels, GPU and CPU: { {name: round(value, 2) for name, value in means.items()} }"
    )
    assert max(means.values()) < 6
