"""LoRA files of other tools: read with the right scale, and written so that other tools read them right."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from bootstrap.errors import UserError
from bootstrap.lora import formats, kohya
from bootstrap.lora.kohya import LoraFile, LoraModule
from bootstrap.models.families.sd1 import SD1
from bootstrap.models.family import BaseModel
from tests.lora.test_merge import random_lora


@pytest.fixture
def adapted(papertown: BaseModel) -> tuple[UNet2DConditionModel, dict[str, torch.Tensor]]:
    """Return a UNet with a random PEFT adapter of rank 4 and alpha 2, and each module's delta by kohya's name."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(papertown.denoiser.config)
    targets = SD1.unet_targets(unet)
    unet.add_adapter(
        LoraConfig(r=4, lora_alpha=2, target_modules=list(targets.values()), init_lora_weights=False)
    )
    layers = {name: unet.get_submodule(path) for name, path in targets.items()}
    return unet, {name: layer.get_delta_weight("default").detach() for name, layer in layers.items()}


def assert_deltas(lora: LoraFile, deltas: dict[str, torch.Tensor]) -> None:
    assert set(lora.modules) == set(deltas)
    for name, delta in deltas.items():
        assert torch.allclose(lora.modules[name].delta(), delta, atol=1e-5), name


def test_what_diffusers_saves_with_its_metadata(
    adapted: tuple[UNet2DConditionModel, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    from diffusers.training_utils import _collate_lora_metadata

    unet, deltas = adapted
    StableDiffusionPipeline.save_lora_weights(
        tmp_path, unet_lora_layers=get_peft_model_state_dict(unet), weight_name="a.safetensors",
        **_collate_lora_metadata({"unet": unet}),
    )  # fmt: skip
    assert formats.format_of(tmp_path / "a.safetensors") == "diffusers"
    assert_deltas(formats.read(tmp_path / "a.safetensors"), deltas)


def test_what_peft_saves_beside_its_config(
    adapted: tuple[UNet2DConditionModel, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    unet, deltas = adapted
    state = {
        f"base_model.model.{name}": tensor.contiguous()
        for name, tensor in get_peft_model_state_dict(unet).items()
    }
    save_file(state, tmp_path / "adapter_model.safetensors")
    with pytest.raises(UserError, match=r"adapter_config\.json"):
        formats.read(tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 2}))
    assert formats.format_of(tmp_path / "adapter_model.safetensors") == "peft"
    assert_deltas(formats.read(tmp_path / "adapter_model.safetensors"), deltas)


def test_alphas_of_single_modules_and_rslora(tmp_path: Path) -> None:
    down, up = torch.randn(4, 6), torch.randn(5, 4)
    stems = ("down_blocks.0.attentions.0.proj_in", "mid_block.attentions.0.proj_in")
    tensors = {f"{s}.lora_A.weight": down.clone() for s in stems} | {
        f"{s}.lora_B.weight": up.clone() for s in stems
    }
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    config = {"r": 4, "lora_alpha": 2, "alpha_pattern": {"mid_block.attentions.0.proj_in": 8}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    modules = formats.read(tmp_path / "adapter_model.safetensors").modules
    assert modules["lora_unet_down_blocks_0_attentions_0_proj_in"].alpha == 2
    assert modules["lora_unet_mid_block_attentions_0_proj_in"].alpha == 8
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, "use_rslora": True}))
    scaled = formats.read(tmp_path / "adapter_model.safetensors").modules[
        "lora_unet_mid_block_attentions_0_proj_in"
    ]
    assert torch.allclose(scaled.delta(), 8 / 4**0.5 * up @ down, atol=1e-5)


def test_the_old_names_of_attention_processors(tmp_path: Path) -> None:
    stem = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor"
    tensors = {}
    for word in ("to_q", "to_out"):
        tensors[f"{stem}.{word}_lora.down.weight"] = torch.randn(4, 6)
        tensors[f"{stem}.{word}_lora.up.weight"] = torch.randn(5, 4)
    save_file(tensors, tmp_path / "old.safetensors")
    prefix = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1"
    assert set(formats.read(tmp_path / "old.safetensors").modules) == {f"{prefix}_to_q", f"{prefix}_to_out_0"}


def test_a_written_diffusers_file_is_right_for_readers_that_know_no_alpha(
    papertown: BaseModel, tmp_path: Path
) -> None:
    lora = random_lora(papertown, 7)  # ranks and alphas differ from module to module
    formats.write_diffusers(tmp_path / "d.safetensors", lora)
    pipeline = StableDiffusionPipeline.from_pretrained(
        papertown.spec.source, safety_checker=None, local_files_only=True, dtype=torch.float32
    )
    pipeline.load_lora_weights(str(tmp_path / "d.safetensors"), adapter_name="d")
    for model, targets in (
        (pipeline.unet, SD1.unet_targets(papertown.denoiser)),
        (pipeline.text_encoder, SD1.text_encoder_targets(papertown.text_encoders[0])),
    ):
        for name, path in targets.items():
            delta = model.get_submodule(path).get_delta_weight("d").detach()
            assert torch.allclose(delta, lora.modules[name].delta(), atol=1e-5), name
    assert_deltas(formats.read(tmp_path / "d.safetensors"), {n: m.delta() for n, m in lora.modules.items()})


@pytest.mark.parametrize(
    "key",
    [
        "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight",
        "lora_unet_double_blocks_0_img_attn_proj.lora_down.weight",
        "base_model.model.transformer.transformer_blocks.0.attn.to_q.lora_A.weight",
    ],
)
def test_a_lora_of_another_kind_of_model_is_refused(tmp_path: Path, key: str) -> None:
    save_file({key: torch.zeros(2, 2)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="another kind of model"):
        formats.read(tmp_path / "a.safetensors")


def test_metadata_that_are_not_json_are_refused(tmp_path: Path) -> None:
    stem = "unet.mid_block.attentions.0.proj_in"
    tensors = {f"{stem}.lora_A.weight": torch.zeros(2, 4), f"{stem}.lora_B.weight": torch.zeros(4, 2)}
    save_file(tensors, tmp_path / "a.safetensors", {"lora_adapter_metadata": "{broken"})
    with pytest.raises(UserError, match="lora_adapter_metadata"):
        formats.read(tmp_path / "a.safetensors")


def test_a_pickled_file_and_a_model_are_refused(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "a.pt")
    with pytest.raises(UserError, match="safetensors"):
        formats.read(tmp_path / "a.pt")
    save_file({"conv.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="not a LoRA"):
        formats.read(tmp_path / "model.safetensors")


def test_kohya_files_keep_alphas_and_metadata_through_conversion(
    papertown: BaseModel, tmp_path: Path
) -> None:
    lora = random_lora(papertown, 8)
    kohya.write(
        tmp_path / "a.safetensors", lora.modules, {"ss_output_name": "a", "ss_epoch": "3"}, torch.float32
    )
    read = formats.read(tmp_path / "a.safetensors")
    assert kohya.own_metadata(read)["ss_epoch"] == "3"
    assert not any(key.startswith("sshs_") for key in kohya.own_metadata(read))
    module: LoraModule
    for name, module in read.modules.items():
        assert (module.rank, module.alpha) == (lora.modules[name].rank, lora.modules[name].alpha)
    assert len(load_file(tmp_path / "a.safetensors")) == 3 * len(lora.modules)


def test_names_that_diffusers_own_converter_writes_become_kohyas(
    papertown: BaseModel, tmp_path: Path
) -> None:
    """It writes SDXL's prefix for 1.x, and leaves out `text_model` (diffusers, utils/state_dict_utils.py)."""
    lora = random_lora(papertown, 9)
    renamed = {
        name.replace("lora_te_text_model_", "lora_te1_"): module for name, module in lora.modules.items()
    }
    kohya.write(tmp_path / "a.safetensors", renamed, {}, torch.float32)
    assert set(formats.read(tmp_path / "a.safetensors").modules) == set(lora.modules)
