"""Stable Diffusion XL: loaded from both layouts, encoding as in diffusers, training and drawing."""

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionXLPipeline
from safetensors.torch import load_file

from bootstrap.catalog import Catalog
from bootstrap.drawing import engine
from bootstrap.loop import generation
from bootstrap.lora import formats
from bootstrap.lora.targets import target_modules
from bootstrap.models import conditioning, loading, specs
from bootstrap.models.families import stable_diffusion
from bootstrap.models.families.sdxl import SDXL
from bootstrap.models.family import BaseModel, BaseModelSpec
from bootstrap.progress import silent
from bootstrap.project.projects import Workspace, create
from bootstrap.project.settings import SAMPLERS, TrainingSection
from bootstrap.prompting import encode
from bootstrap.shots import Shot
from bootstrap.training import trainer
from bootstrap.training.batches import Batch, BatchMaker
from bootstrap.training.identity import Example
from tests.sd_checkpoint import second_text_encoder, small_sdxl, unet_name, vae_name

RECIPES = """
[[recipe]]
kind = "vary"
count = 2
snapshot = 1
"""


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small single-file v-prediction checkpoint; configurations of its size replace the shipped ones."""
    path, configs = small_sdxl(tmp_path, stable_diffusion.CONFIGS, "v_pred", "ztsnr")
    monkeypatch.setattr(stable_diffusion, "CONFIGS", configs)
    return path


def pipeline_of(base: BaseModel) -> StableDiffusionXLPipeline:
    """Return the model as a pipeline of diffusers."""
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        base.spec.source, local_files_only=True, dtype=torch.float32, add_watermarker=False
    )
    pipeline.scheduler = DDIMScheduler.from_config(base.scheduler_config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_the_shipped_configurations_are_those_of_sdxl() -> None:
    """Compare the numbers of parameters, and the FLOPs of a step at 1024 pixels; without any weights."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    def config(part: str) -> dict[str, object]:
        return json.loads((stable_diffusion.CONFIGS / "sdxl" / part / "config.json").read_text())

    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config("unet"))
        second = CLIPTextModelWithProjection(CLIPTextConfig(**config("text_encoder_2")))
        first = CLIPTextModel(CLIPTextConfig(**config("text_encoder")))
        vae = AutoencoderKL.from_config(config("vae"))
    assert sum(parameter.numel() for parameter in unet.parameters()) == 2_567_463_684
    assert sum(parameter.numel() for parameter in second.parameters()) == 694_659_840
    folder = stable_diffusion.CONFIGS / "sd15" / "tokenizer"
    tokenizers = [CLIPTokenizer.from_pretrained(folder, **options) for options in ({}, {"pad_token": "!"})]
    assert tokenizers[1].pad_token_id == 0
    spec = BaseModelSpec("xl", "file", "xl.safetensors")
    base = BaseModel(spec, "", SDXL, SDXL.geometry_of(config), unet, vae, [first, second], tokenizers, {})
    assert (base.resolution, base.size_step) == (1024, 32)
    prompts = encode.encode(base, ["a photo of a cat"])
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        latents = torch.zeros(1, 4, 128, 128, device="meta")
        conditioning.predict(base, latents, torch.zeros(1, device="meta"), prompts)
    assert round(counter.get_total_flops() / 1e12, 2) == 6.76


def test_every_loaded_weight_equals_the_checkpoints(checkpoint: Path) -> None:
    base = loading.hold(specs.find(str(checkpoint)))
    in_file = load_file(checkpoint)
    for name, tensor in base.denoiser.state_dict().items():
        assert torch.equal(tensor, in_file[unet_name(name, sdxl=True)].float()), name
    for name, tensor in base.vae.state_dict().items():
        assert torch.equal(tensor.flatten(), in_file[vae_name(name, 4)].float().flatten()), name
    for name, tensor in base.text_encoders[0].state_dict().items():
        stored = in_file[f"conditioner.embedders.0.transformer.text_model.{name.removeprefix('text_model.')}"]
        assert torch.equal(tensor, stored.float()), name
    for name, tensor in second_text_encoder(base.text_encoders[1]).items():
        assert torch.equal(tensor, in_file[name].float()), name


def test_the_checkpoints_prediction_type_holds_unless_the_setting_overrides_it(
    checkpoint: Path,
) -> None:
    spec = specs.find(str(checkpoint))
    original = loading.hold(spec)
    assert original.family is SDXL
    assert original.prediction_type == "v_prediction"
    assert original.scheduler_config["rescale_betas_zero_snr"] is True
    assert (original.resolution, original.size_step) == (64, 32)
    overridden = loading.hold(specs.predicting(spec, "epsilon"))
    assert overridden.prediction_type == "epsilon"
    assert not overridden.scheduler_config.get("rescale_betas_zero_snr")
    assert overridden.hash != original.hash


def test_a_single_file_checkpoint_is_trained_and_draws_candidates(
    checkpoint: Path, originals: Path, tmp_path: Path
) -> None:
    project = create(
        Workspace(tmp_path / "w"), "xl", originals / "badge.png", "woman, red apple", str(checkpoint), RECIPES
    )
    lines = project.toml.read_text().splitlines()
    for key, value in (("repeats", 2), ("epochs", 1), ("steps", 2), ("network_dim", 4)):
        (place,) = [number for number, line in enumerate(lines) if line.startswith(f"{key} = ")]
        lines[place] = f"{key} = {value}"
    project.toml.write_text("\n".join(lines))
    catalog = Catalog(project.workspace.catalog_url)
    begun = generation.prepare(project, catalog)
    generation.train(begun)
    generation.draw(begun)
    (snapshot,) = begun.folder.glob("training-*/*.safetensors")
    assert len(list(begun.folder.glob("candidates/*.png"))) == 2
    lora = formats.read(snapshot)
    base = loading.hold(project.base_model)
    assert set(lora.modules) == set(target_modules(base))
    assert lora.metadata["ss_base_model_version"] == "sdxl_base_v1-0"
    assert lora.metadata["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert lora.metadata["modelspec.implementation"].startswith("https://github.com/Stability-AI/")
    assert lora.metadata["modelspec.prediction_type"] == "v"
    assert lora.metadata["ss_zero_terminal_snr"] == "True"
    untouched = {name for name, module in lora.modules.items() if not module.up.any()}
    # The first text encoder's last layer is not used, so it cannot learn.
    assert {name.split("_self")[0].split("_mlp")[0] for name in untouched} == {
        "lora_te1_text_model_encoder_layers_1"
    }


def test_prompts_are_encoded_as_diffusers_does(small_xl: BaseModel) -> None:
    texts = ["woman, red apple", ""]
    ours = encode.encode(small_xl, texts)
    pipeline = pipeline_of(small_xl)
    for row, text in enumerate(texts):
        states, _, pooled, _ = pipeline.encode_prompt(text, do_classifier_free_guidance=False)
        assert torch.allclose(ours.states[row], states[0], atol=1e-5)
        assert ours.pooled is not None
        assert torch.allclose(ours.pooled[row], pooled[0], atol=1e-5)


def test_long_prompts_have_their_first_chunks_pooled_embedding(small_xl: BaseModel) -> None:
    long = ", ".join(["red apple"] * 40)
    first = ", ".join(["red apple"] * 25)  # 75 tokens with the comma that follows
    single, batch = encode.encode(small_xl, [first + ","]), encode.encode(small_xl, [long, "robot", long])
    assert batch.states.shape == (3, 154, 96)
    assert single.pooled is not None
    assert batch.pooled is not None
    assert batch.pooled.shape == (3, 64)
    assert torch.allclose(batch.pooled[0], single.pooled[0], atol=1e-5)
    assert torch.equal(batch.pooled[0], batch.pooled[2])


def test_clip_skip_changes_nothing(small_xl: BaseModel) -> None:
    last, before_last = (encode.encode(small_xl, ["robot"], clip_skip=skip) for skip in (1, 2))
    assert torch.equal(last.states, before_last.states)


@pytest.mark.parametrize(("negative", "size"), [(None, (64, 64)), ("man, outdoors", (96, 64))])
def test_a_picture_equals_diffusers_picture(
    small_xl: BaseModel, negative: str | None, size: tuple[int, int]
) -> None:
    prompt = "woman, red apple"
    shot = Shot(prompt, negative or "", 7, 4, "DDIM", 5.0, *size, "xl", small_xl.hash, ())
    ((drawing,),) = engine.draw_batches(small_xl, [shot], {}, 1)
    theirs = pipeline_of(small_xl)(
        prompt, negative_prompt=negative, num_inference_steps=4, guidance_scale=5.0, width=size[0],
        height=size[1], generator=torch.Generator().manual_seed(7),
    ).images[0]  # fmt: skip
    difference = np.asarray(drawing.picture, np.int16) - np.asarray(theirs, np.int16)
    assert np.abs(difference).max() <= 2
    assert np.asarray(theirs).std() > 1


def test_a_picture_is_the_same_alone_and_in_a_batch(small_xl: BaseModel) -> None:
    woman = Shot("woman", "", 7, 3, "Euler a", 4.0, 64, 64, "xl", small_xl.hash, ())
    robot = dataclasses.replace(woman, seed=8, negative_prompt="man", prompt="robot")
    ((alone,),) = engine.draw_batches(small_xl, [woman], {}, 1)
    (batch,) = engine.draw_batches(small_xl, [woman, robot], {}, 2)
    together = {drawing.shot.id: drawing.picture for drawing in batch}
    assert set(together) == {woman.id, robot.id}
    difference = np.asarray(alone.picture, np.int16) - np.asarray(together[woman.id], np.int16)
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_with_v_prediction_and_zero_terminal_snr(
    small_xl: BaseModel, sampler: str
) -> None:
    changes = {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    }
    base = dataclasses.replace(small_xl, scheduler_config={**small_xl.scheduler_config, **changes})
    shot = Shot("woman", "", 7, 5, sampler, 4.0, 64, 64, "xl", base.hash, ())
    ((drawing,),) = engine.draw_batches(base, [shot], {}, 1)
    assert np.asarray(drawing.picture).std() > 1
    ((epsilon,),) = engine.draw_batches(small_xl, [shot], {}, 1)
    assert np.abs(np.asarray(drawing.picture, np.int16) - np.asarray(epsilon.picture, np.int16)).mean() > 1


def test_half_precision_with_a_float32_vae_draws_the_same(small_xl: BaseModel) -> None:
    half = dataclasses.replace(
        small_xl,
        denoiser=copy.deepcopy(small_xl.denoiser).half(),
        text_encoders=[copy.deepcopy(encoder).half() for encoder in small_xl.text_encoders],
    )
    shot = Shot("woman", "", 7, 4, "Euler", 3.0, 64, 64, "xl", small_xl.hash, ())
    (exact,), (rounded,) = (next(engine.draw_batches(base, [shot], {}, 1)) for base in (small_xl, half))
    assert half.vae.dtype is torch.float32
    difference = np.asarray(exact.picture, np.int16) - np.asarray(rounded.picture, np.int16)
    assert np.abs(difference).mean() < 1


@pytest.mark.parametrize(
    "changes", [{"text_encoder_lr": 0}, {"mixed_precision": "bf16"}, {"gradient_checkpointing": True}]
)
def test_training_with_a_frozen_text_encoder_in_bf16_and_with_gradient_checkpointing(
    small_xl: BaseModel, originals: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    settings = TrainingSection.model_validate(
        {"repeats": 2, "epochs": 1, "network_dim": 2, "train_batch_size": 2, **changes}
    )
    examples = [
        Example(str(originals / f"{name}.png"), name, f"woman, {name}", 2, (64, 64))
        for name in ("badge", "crown")
    ]
    results: list[trainer.EpochResult] = []
    trainer.train(small_xl, examples, settings, tmp_path / "s", tmp_path, results.append, silent)
    assert np.isfinite(results[0].loss)
    if settings.text_encoder_lr:
        assert set(results[0].modules) == set(target_modules(small_xl))
    else:
        assert set(results[0].modules) == set(SDXL.unet_targets(small_xl.denoiser))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_training_target_matches_the_prediction_type(
    small_xl: BaseModel,
    originals: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prediction_type: str,
) -> None:
    base = dataclasses.replace(
        small_xl, scheduler_config={**small_xl.scheduler_config, "prediction_type": prediction_type}
    )
    targets: list[tuple[Batch, torch.Tensor]] = []
    batches: list[Batch] = []
    make = BatchMaker.make_batch

    def keep_batch(self: BatchMaker, pictures: list[int], step: int) -> Batch:
        batches.append(make(self, pictures, step))
        return batches[-1]

    def keep_target(predicted: torch.Tensor, target: torch.Tensor, _: None) -> torch.Tensor:
        targets.append((batches[-1], target))
        return predicted.square().mean()

    monkeypatch.setattr(BatchMaker, "make_batch", keep_batch)
    monkeypatch.setattr(trainer, "weighted_mse", keep_target)
    settings = TrainingSection(repeats=2, epochs=1, network_dim=2)
    examples = [Example(str(originals / "badge.png"), "0", "woman", 2, (64, 64))]
    trainer.train(base, examples, settings, tmp_path / "s", tmp_path, lambda _: None, silent)
    # v = alpha * noise - sigma * latents (Salimans & Ho 2022, arXiv 2202.00512); betas as in the configuration.
    alphas = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).cumprod(0)
    assert len(batches) == 2
    # Every step has a target; a step that is recorded has several.
    assert all(any(batch is target_batch for target_batch, _ in targets) for batch in batches)
    for batch, target in targets:
        alpha = alphas[batch.timesteps]
        expected = batch.noise
        if prediction_type == "v_prediction":
            expected = alpha**0.5 * batch.noise - (1 - alpha) ** 0.5 * batch.latents
        assert torch.allclose(target, expected, atol=1e-4)


def test_the_unet_is_conditioned_on_the_size(small_xl: BaseModel) -> None:
    prompts = encode.encode(small_xl, ["robot"])
    added = {}

    def record(_: object, __: object, kwargs: dict[str, dict[str, torch.Tensor]]) -> None:
        added.update(kwargs["added_cond_kwargs"])

    hook = small_xl.denoiser.register_forward_pre_hook(record, with_kwargs=True)
    conditioning.predict(small_xl, torch.zeros(1, 4, 12, 8), torch.tensor([5]), prompts)
    hook.remove()
    assert added["time_ids"].tolist() == [[96, 64, 0, 0, 96, 64]]
    assert added["text_embeds"] is prompts.pooled
