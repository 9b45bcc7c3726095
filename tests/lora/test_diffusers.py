"""diffusers draws the same picture with our LoRA file as our own merge."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch import nn

from bootstrap.drawing import engine
from bootstrap.lora import kohya
from bootstrap.lora.kohya import LoraFile, LoraModule
from bootstrap.lora.targets import target_modules
from bootstrap.models import conditioning, small_cpu
from bootstrap.models.family import BaseModel
from bootstrap.progress import silent
from bootstrap.project.settings import TrainingSection
from bootstrap.shots import LoraUse, Shot
from bootstrap.training import trainer
from bootstrap.training.identity import Example

PROMPT = "woman, blue blazer, holding red apple, teal wall"


@pytest.fixture(scope="module", params=[None, 2], ids=["lora", "locon"])
def conv_dim(request: pytest.FixtureRequest) -> int | None:
    return request.param


@pytest.fixture(scope="module")
def lora_file(
    papertown: BaseModel, originals: Path, tmp_path_factory: pytest.TempPathFactory, conv_dim: int | None
) -> Path:
    """A trained LoRA or LoCon with an alpha of half the rank, as usual with kohya."""
    folder = tmp_path_factory.mktemp("trained")
    settings = TrainingSection(
        repeats=8,
        epochs=1,
        network_dim=8,
        network_alpha=4,
        unet_lr=5e-3,
        text_encoder_lr=2e-3,
        conv_dim=conv_dim,
    )
    example = Example(str(originals / "badge.png"), "0", PROMPT, 8, (128, 128))
    path = folder / "badge-000001.safetensors"

    def keep(result: trainer.EpochResult) -> None:
        kohya.write(path, result.modules, {"ss_network_dim": "8", "ss_network_alpha": "4.0"}, torch.float32)

    trainer.train(papertown, [example], settings, folder / "state.safetensors", folder, keep, silent)
    return path


def ours(base: BaseModel, path: Path, strength: float) -> np.ndarray:
    use = LoraUse("badge", "0", 1, strength)
    shot = Shot(PROMPT, "", 7, 6, "DDIM", 3.0, 128, 128, "papertown", base.hash, (use,))
    if not strength:
        shot = dataclasses.replace(shot, loras=())
    (batch,) = engine.draw_batches(base, [shot], {use: kohya.read(path)}, 1)
    return np.asarray(batch[0].picture, dtype=np.int16)


def theirs(base: BaseModel, path: Path, strength: float) -> np.ndarray:
    pipeline = StableDiffusionPipeline.from_pretrained(
        base.spec.source, safety_checker=None, local_files_only=True, dtype=torch.float32
    )
    pipeline.scheduler = DDIMScheduler.from_config(base.scheduler_config)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(str(path), adapter_name="badge")
    pipeline.set_adapters(["badge"], [strength])
    noise = torch.Generator().manual_seed(7)
    picture = pipeline(
        PROMPT, num_inference_steps=6, guidance_scale=3.0, height=128, width=128, generator=noise
    ).images[0]
    return np.asarray(picture, dtype=np.int16)


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_diffusers_draws_what_our_merge_draws(papertown: BaseModel, lora_file: Path, strength: float) -> None:
    with_lora = ours(papertown, lora_file, strength)
    assert np.abs(with_lora - theirs(papertown, lora_file, strength)).max() <= 2
    without = ours(papertown, lora_file, 0.0)
    assert np.abs(with_lora - without).mean() > 1  # the LoRA has an effect, so the equality means something


def test_every_module_of_the_file_is_trained(
    papertown: BaseModel, lora_file: Path, conv_dim: int | None
) -> None:
    lora: LoraFile = kohya.read(lora_file)
    targets = target_modules(papertown, convolutions=conv_dim is not None)
    assert set(lora.modules) == set(targets)
    module: LoraModule
    for name, module in lora.modules.items():
        is_large = targets[name].weight.shape[2:] == (3, 3)
        assert (module.rank, module.alpha) == ((2, 1.0) if is_large else (8, 4.0)), name
    untrained = {name for name, module in lora.modules.items() if not module.up.abs().max() > 0}
    assert untrained <= without_input(papertown, targets)


def without_input(base: BaseModel, targets: dict[str, nn.Module]) -> set[str]:
    """Return modules whose input is all but zero, so that they cannot learn: some of Paper Town's gates are closed."""
    with_input: set[str] = set()

    def note(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        return lambda module, args: with_input.add(name) if args[0].abs().mean() > 1e-6 else None

    hooks = [module.register_forward_pre_hook(note(name)) for name, module in targets.items()]
    shot = Shot(PROMPT, "", 7, 4, "DDIM", 3.0, 128, 128, "papertown", base.hash, ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_cpu, "predict", conditioning.predict)  # a recording does not call hooks
        list(engine.draw_batches(base, [shot], {}, 1))
    for hook in hooks:
        hook.remove()
    assert len(with_input) > 0.95 * len(targets)
    return targets.keys() - with_input
