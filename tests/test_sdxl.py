"""Stable Diffusion XL: read from both layouts, encoded as diffusers does, trained and drawn with."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionXLPipeline
from safetensors.torch import load_file

from bootstrap import base_model, base_model_spec, conditioning, generation
from bootstrap.base_model import BaseModel
from bootstrap.catalog import Catalog
from bootstrap.drawing import engine
from bootstrap.lora import formats
from bootstrap.lora.targets import target_modules
from bootstrap.project import Workspace, create
from bootstrap.prompting import encode
from bootstrap.shots import Shot
from tests.sd_checkpoint import second_text_encoder, small_sdxl, unet_name, vae_name

RECIPES = """
[[recipe]]
kind = "vary"
count = 2
snapshot = 1
"""


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkpoint as one file, which predicts v; the shipped configurations are of its size."""
    path, configs = small_sdxl(tmp_path, base_model.CONFIGS, "v_pred", "ztsnr")
    monkeypatch.setattr(base_model, "CONFIGS", configs)
    return path


def pipeline_of(base: BaseModel) -> StableDiffusionXLPipeline:
    """The same model in diffusers."""
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        base.spec.source, local_files_only=True, dtype=torch.float32, add_watermarker=False
    )
    pipeline.scheduler = DDIMScheduler.from_config(base.scheduler_config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_the_shipped_configurations_are_those_of_sdxl() -> None:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    def config(part: str) -> dict[str, object]:
        return json.loads((base_model.CONFIGS / "sdxl" / part / "config.json").read_text())

    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config("unet"))
        second = CLIPTextModelWithProjection(CLIPTextConfig(**config("text_encoder_2")))
    assert sum(parameter.numel() for parameter in unet.parameters()) == 2_567_463_684
    assert sum(parameter.numel() for parameter in second.parameters()) == 694_659_840


def test_every_weight_is_the_checkpoints(checkpoint: Path) -> None:
    base = base_model.hold(base_model_spec.find(str(checkpoint)))
    in_file = load_file(checkpoint)
    for name, tensor in base.unet.state_dict().items():
        assert torch.equal(tensor, in_file[unet_name(name, sdxl=True)].float()), name
    for name, tensor in base.vae.state_dict().items():
        assert torch.equal(tensor.flatten(), in_file[vae_name(name, 4)].float().flatten()), name
    for name, tensor in base.text_encoder.state_dict().items():
        stored = in_file[f"conditioner.embedders.0.transformer.text_model.{name.removeprefix('text_model.')}"]
        assert torch.equal(tensor, stored.float()), name
    assert base.text_encoder_2 is not None
    for name, tensor in second_text_encoder(base.text_encoder_2).items():
        assert torch.equal(tensor, in_file[name].float()), name


def test_what_the_checkpoint_says_of_its_prediction_holds_unless_the_setting_says_otherwise(
    checkpoint: Path,
) -> None:
    spec = base_model_spec.find(str(checkpoint))
    own = base_model.hold(spec)
    assert own.is_sdxl
    assert own.prediction_type == "v_prediction"
    assert own.scheduler_config["rescale_betas_zero_snr"] is True
    assert (own.resolution, own.size_step) == (64, 32)
    changed = base_model.hold(base_model_spec.predicting(spec, "epsilon"))
    assert changed.prediction_type == "epsilon"
    assert changed.hash != own.hash


def test_a_single_file_takes_the_whole_way_to_candidates(
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
    number = generation.prepare(project, catalog)
    generation.train(project, catalog, number)
    generation.draw(project, catalog, number)
    (snapshot,) = project.generation_folder(number).glob("training-*/*.safetensors")
    assert len(list(project.generation_folder(number).glob("candidates/*.png"))) == 2
    lora = formats.read(snapshot)
    base = base_model.hold(project.base_model)
    assert set(lora.modules) == set(target_modules(base))
    assert lora.metadata["ss_base_model_version"] == "sdxl_base_v1-0"
    assert lora.metadata["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert lora.metadata["modelspec.implementation"].startswith("https://github.com/Stability-AI/")
    assert lora.metadata["modelspec.prediction_type"] == "v"
    untouched = {name for name, module in lora.modules.items() if not module.up.any()}
    # The first text encoder's last layer is not used, so nothing of it can be learnt.
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


def test_long_prompts_have_the_pooled_of_their_first_chunk(small_xl: BaseModel) -> None:
    long = ", ".join(["red apple"] * 40)
    first = ", ".join(["red apple"] * 25)  # 75 tokens with the comma that follows
    one, both = encode.encode(small_xl, [first + ","]), encode.encode(small_xl, [long, "robot", long])
    assert both.states.shape == (3, 154, 96)
    assert one.pooled is not None
    assert both.pooled is not None
    assert both.pooled.shape == (3, 64)
    assert torch.allclose(both.pooled[0], one.pooled[0], atol=1e-5)
    assert torch.equal(both.pooled[0], both.pooled[2])


def test_clip_skip_changes_nothing(small_xl: BaseModel) -> None:
    one, two = (encode.encode(small_xl, ["robot"], clip_skip=skip) for skip in (1, 2))
    assert torch.equal(one.states, two.states)


@pytest.mark.parametrize(("negative", "size"), [(None, (64, 64)), ("man, outdoors", (96, 64))])
def test_a_picture_is_diffusers_picture(
    small_xl: BaseModel, negative: str | None, size: tuple[int, int]
) -> None:
    prompt = "woman, red apple"
    shot = Shot(prompt, negative or "", 7, 4, "DDIM", 5.0, *size, "xl", small_xl.hash, ())
    ((drawing,),) = engine.draw(small_xl, [shot], {}, 1)
    theirs = pipeline_of(small_xl)(
        prompt, negative_prompt=negative, num_inference_steps=4, guidance_scale=5.0, width=size[0],
        height=size[1], generator=torch.Generator().manual_seed(7),
    ).images[0]  # fmt: skip
    difference = np.asarray(drawing.picture, np.int16) - np.asarray(theirs, np.int16)
    assert np.abs(difference).max() <= 2
    assert np.asarray(theirs).std() > 1


def test_alone_and_in_a_batch_it_is_the_same_picture(small_xl: BaseModel) -> None:
    one = Shot("woman", "", 7, 3, "Euler a", 4.0, 64, 64, "xl", small_xl.hash, ())
    other = dataclasses.replace(one, seed=8, negative_prompt="man", prompt="robot")
    ((alone,),) = engine.draw(small_xl, [one], {}, 1)
    (batch,) = engine.draw(small_xl, [one, other], {}, 2)
    together = {drawing.shot.id: drawing.picture for drawing in batch}
    assert set(together) == {one.id, other.id}
    difference = np.asarray(alone.picture, np.int16) - np.asarray(together[one.id], np.int16)
    assert np.abs(difference).max() <= 2


def test_the_unet_is_told_the_size(small_xl: BaseModel) -> None:
    prompts = encode.encode(small_xl, ["robot"])
    told = {}

    def record(_: object, __: object, given: dict[str, dict[str, torch.Tensor]]) -> None:
        told.update(given["added_cond_kwargs"])

    hook = small_xl.unet.register_forward_pre_hook(record, with_kwargs=True)
    conditioning.predict(small_xl, torch.zeros(1, 4, 12, 8), torch.tensor([5]), prompts)
    hook.remove()
    assert told["time_ids"].tolist() == [[96, 64, 0, 0, 96, 64]]
    assert told["text_embeds"] is prompts.pooled
