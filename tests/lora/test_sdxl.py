"""LoRA files of Stable Diffusion XL: read from all formats, and written so that diffusers draws the same."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from bootstrap.cli import main
from bootstrap.drawing import engine
from bootstrap.errors import UserError
from bootstrap.lora import formats, kohya
from bootstrap.lora.kohya import LoraFile
from bootstrap.lora.merge import merged
from bootstrap.lora.targets import targets_of
from bootstrap.models.families.sdxl import SDXL
from bootstrap.models.family import BaseModel
from bootstrap.progress import silent
from bootstrap.project.settings import TrainingSection
from bootstrap.shots import LoraUse, Shot
from bootstrap.training import trainer
from bootstrap.training.identity import Example
from tests.lora.test_merge import random_lora

PROMPT = "woman, red apple"


@pytest.fixture(scope="module")
def trained(small_xl: BaseModel, originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA trained for two steps, at learning rates high enough to show in the pictures."""
    folder = tmp_path_factory.mktemp("trained")
    settings = TrainingSection(
        repeats=2, epochs=1, network_dim=4, network_alpha=2, unet_lr=0.1, text_encoder_lr=0.1
    )
    example = Example(str(originals / "badge.png"), "0", PROMPT, 2, (64, 64))
    path = folder / "badge-000001.safetensors"

    def keep(result: trainer.EpochResult) -> None:
        kohya.write(path, result.modules, {"ss_network_dim": "4"}, torch.float32)

    trainer.train(small_xl, [example], settings, folder / "state.safetensors", folder, keep, silent)
    return path


def diffusers_pipeline(base: BaseModel) -> StableDiffusionXLPipeline:
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        base.spec.source, local_files_only=True, dtype=torch.float32, add_watermarker=False
    )
    pipeline.scheduler = DDIMScheduler.from_config(base.scheduler_config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def deltas_in(pipeline: StableDiffusionXLPipeline, base: BaseModel) -> dict[str, torch.Tensor]:
    """Return each module's delta from adapter `a` in diffusers' pipeline, by kohya's name."""
    models = (pipeline.unet, pipeline.text_encoder, pipeline.text_encoder_2)
    return {
        name: model.get_submodule(path).get_delta_weight("a").detach()
        for model, (_, targets) in zip(models, targets_of(base), strict=True)
        for name, path in targets.items()
    }


def assert_deltas(lora: LoraFile, deltas: dict[str, torch.Tensor]) -> None:
    assert set(lora.modules) == set(deltas)
    for name, delta in deltas.items():
        assert torch.allclose(lora.modules[name].delta(), delta, atol=1e-5), name


def test_diffusers_draws_what_our_merge_draws(small_xl: BaseModel, trained: Path) -> None:
    use = LoraUse("badge", "0", 1, 1.0)

    def ours(*loras: LoraUse) -> np.ndarray:
        shot = Shot(PROMPT, "", 7, 4, "DDIM", 3.0, 64, 64, "xl", small_xl.hash, loras)
        ((drawing,),) = engine.draw_batches(small_xl, [shot], {use: kohya.read(trained)}, 1)
        return np.asarray(drawing.picture, dtype=np.int16)

    pipeline = diffusers_pipeline(small_xl)
    pipeline.load_lora_weights(str(trained), adapter_name="a")
    theirs = pipeline(
        PROMPT, num_inference_steps=4, guidance_scale=3.0, height=64, width=64,
        generator=torch.Generator().manual_seed(7),
    ).images[0]  # fmt: skip
    assert np.abs(ours(use) - np.asarray(theirs, dtype=np.int16)).max() <= 2
    assert np.abs(ours(use) - ours()).mean() > 1  # the LoRA has an effect, so the equality means something
    assert_deltas(kohya.read(trained), deltas_in(pipeline, small_xl))


def test_every_format_preserves_each_modules_rank_and_alpha(small_xl: BaseModel, tmp_path: Path) -> None:
    lora = random_lora(small_xl, 3)
    deltas = {name: module.delta() for name, module in lora.modules.items()}
    kohya.write(tmp_path / "k.safetensors", lora.modules, {}, torch.float32)
    assert_deltas(formats.read(tmp_path / "k.safetensors"), deltas)
    formats.write_diffusers(tmp_path / "d.safetensors", lora)
    assert formats.format_of(tmp_path / "d.safetensors") == "diffusers"
    assert_deltas(formats.read(tmp_path / "d.safetensors"), deltas)
    pipeline = diffusers_pipeline(small_xl)
    pipeline.load_lora_weights(str(tmp_path / "d.safetensors"), adapter_name="a")
    assert_deltas(lora, deltas_in(pipeline, small_xl))


def test_the_merge_adds_each_modules_delta(small_xl: BaseModel) -> None:
    lora = random_lora(small_xl, 4)
    modules = {
        name: model.get_submodule(path)
        for model, targets in targets_of(small_xl)
        for name, path in targets.items()
    }
    before = {name: module.weight.clone() for name, module in modules.items()}
    with merged(small_xl, [(lora, 0.7)]):
        for name, module in modules.items():
            assert torch.allclose(module.weight, before[name] + 0.7 * lora.modules[name].delta(), atol=1e-6)
    assert all(torch.equal(modules[name].weight, before[name]) for name in before)


def test_kohya_files_with_diffusers_block_names_are_read_under_kohyas(
    small_xl: BaseModel, tmp_path: Path
) -> None:
    lora = random_lora(small_xl, 5)
    diffusers_names = {
        name: f"lora_unet_{path.replace('.', '_')}"
        for name, path in SDXL.unet_targets(small_xl.denoiser).items()
    }
    renamed = {
        diffusers_names.get(name, name.replace("_text_model", "")): module
        for name, module in lora.modules.items()
    }
    kohya.write(tmp_path / "a.safetensors", renamed, {}, torch.float32)
    assert_deltas(
        formats.read(tmp_path / "a.safetensors"),
        {name: module.delta() for name, module in lora.modules.items()},
    )


@pytest.mark.parametrize("with_metadata", [True, False])
def test_what_diffusers_and_peft_save(small_xl: BaseModel, tmp_path: Path, with_metadata: bool) -> None:
    from diffusers.training_utils import _collate_lora_metadata

    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(small_xl.denoiser.config)
    targets = SDXL.unet_targets(unet)
    unet.add_adapter(
        LoraConfig(r=4, lora_alpha=2, target_modules=list(targets.values()), init_lora_weights=False)
    )
    deltas = {
        name: unet.get_submodule(path).get_delta_weight("default").detach() for name, path in targets.items()
    }
    state = get_peft_model_state_dict(unet)
    if with_metadata:
        StableDiffusionXLPipeline.save_lora_weights(
            tmp_path,
            unet_lora_layers=state,
            weight_name="a.safetensors",
            **_collate_lora_metadata({"unet": unet}),
        )
    else:
        tensors = {f"base_model.model.{name}": tensor.contiguous() for name, tensor in state.items()}
        save_file(tensors, tmp_path / "a.safetensors")
        (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 2}))
    assert_deltas(formats.read(tmp_path / "a.safetensors"), deltas)


def test_a_lora_of_the_other_family_is_refused_by_name(small_xl: BaseModel, papertown: BaseModel) -> None:
    with pytest.raises(
        UserError, match=r"random-1: it was made for Stable Diffusion 1\.x.*is Stable Diffusion XL"
    ):
        merged(small_xl, [(random_lora(papertown, 1), 1.0)])
    with pytest.raises(
        UserError, match=r"random-2: it was made for Stable Diffusion XL.*papertown is .*1\.x"
    ):
        merged(papertown, [(random_lora(small_xl, 2), 1.0)])


def test_inspect_and_convert(small_xl: BaseModel, tmp_path: Path) -> None:
    lora = random_lora(small_xl, 6)
    source, converted, back = (tmp_path / f"{name}.safetensors" for name in ("a", "b", "c"))
    kohya.write(source, lora.modules, {}, torch.float32)
    run: Callable[..., object] = CliRunner().invoke
    report = run(main.app, ["lora", "inspect", str(source), "--base", small_xl.spec.source]).output
    counts = [len(targets) for _, targets in targets_of(small_xl)]
    assert "made for: Stable Diffusion XL" in report
    assert f"{counts[0]} of the UNet" in report
    assert f"{counts[1]} of the text encoder" in report
    assert f"{counts[2]} of the second text encoder" in report
    assert f"{sum(counts)} of {sum(counts)} modules fit" in report
    run(main.app, ["lora", "convert", str(source), str(converted), "--to", "diffusers"])
    run(main.app, ["lora", "convert", str(converted), str(back), "--to", "kohya"])
    assert_deltas(formats.read(back), {name: module.delta() for name, module in lora.modules.items()})
    assert formats.read(back).metadata["ss_base_model_version"] == "sdxl_base_v1-0"
    assert set(load_file(back)) == set(load_file(source))
