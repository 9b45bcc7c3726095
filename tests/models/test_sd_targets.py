"""The trained modules are the same as kohya's, under the names that every other tool knows."""

import json

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from bootstrap.models.families import stable_diffusion
from bootstrap.models.families.sd1 import SD1
from bootstrap.models.families.sdxl import SDXL


def sd15_unet() -> UNet2DConditionModel:
    """Return Stable Diffusion 1.5's UNet without weights."""
    with torch.device("meta"):
        return UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8, sample_size=64)


def sd15_text_encoder() -> CLIPTextModel:
    with torch.device("meta"):
        return CLIPTextModel(
            CLIPTextConfig(
                hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
            )
        )


def sdxl_unet() -> UNet2DConditionModel:
    """Return Stable Diffusion XL's UNet without weights, from the shipped configuration."""
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(shipped("unet"))


def sdxl_text_encoder_2() -> CLIPTextModelWithProjection:
    with torch.device("meta"):
        return CLIPTextModelWithProjection(CLIPTextConfig(**shipped("text_encoder_2")))


def shipped(part: str) -> dict[str, object]:
    return json.loads((stable_diffusion.CONFIGS / "sdxl" / part / "config.json").read_text())


def test_sd15_unet_has_kohyas_192_modules() -> None:
    names = SD1.unet_targets(sd15_unet())
    assert len(names) == 192
    for expected in (
        "lora_unet_down_blocks_0_attentions_0_proj_in",
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0",
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k",
        "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_0_proj",
        "lora_unet_up_blocks_1_attentions_1_transformer_blocks_0_ff_net_2",
    ):
        assert expected in names


def test_sd15_text_encoder_has_kohyas_72_modules_with_text_model_in_the_name() -> None:
    names = SD1.text_encoder_targets(sd15_text_encoder())
    assert len(names) == 72
    assert "lora_te_text_model_encoder_layers_0_self_attn_q_proj" in names
    assert "lora_te_text_model_encoder_layers_11_mlp_fc2" in names


def test_rank_64_of_sd15_is_as_large_as_kohyas() -> None:
    unet = sd15_unet()
    modules = [unet.get_submodule(path) for path in SD1.unet_targets(unet).values()]
    parameters = sum(64 * (module.weight.shape[0] + module.weight.shape[1]) for module in modules)
    assert round(parameters / 1e6, 2) == 27.13


def test_sdxl_has_kohyas_722_modules_in_the_unet_under_the_names_of_the_first_release() -> None:
    names = SDXL.unet_targets(sdxl_unet())
    assert len(names) == 722
    for expected in (
        "lora_unet_input_blocks_4_1_proj_in",
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
        "lora_unet_input_blocks_8_1_transformer_blocks_9_ff_net_0_proj",
        "lora_unet_middle_block_1_transformer_blocks_9_attn2_to_out_0",
        "lora_unet_output_blocks_0_1_transformer_blocks_0_attn1_to_k",
        "lora_unet_output_blocks_5_1_transformer_blocks_1_ff_net_2",
    ):
        assert expected in names
    assert {name.split("_transformer")[0].split("_proj")[0] for name in names} == {
        *(f"lora_unet_input_blocks_{number}_1" for number in (4, 5, 7, 8)),
        "lora_unet_middle_block_1",
        *(f"lora_unet_output_blocks_{number}_1" for number in range(6)),
    }


def test_sdxl_has_kohyas_72_and_192_modules_in_the_text_encoders() -> None:
    first = SDXL.text_encoder_targets(sd15_text_encoder(), "text_encoder")
    second = SDXL.text_encoder_targets(sdxl_text_encoder_2(), "text_encoder_2")
    assert (len(first), len(second)) == (72, 192)
    assert "lora_te1_text_model_encoder_layers_11_mlp_fc2" in first
    assert "lora_te2_text_model_encoder_layers_31_self_attn_out_proj" in second


def test_a_locon_of_sd15_has_kohyas_278_modules_in_the_unet() -> None:
    names = SD1.unet_targets(sd15_unet(), convolutions=True)
    assert len(names) == 278
    for expected in (
        "lora_unet_down_blocks_0_resnets_0_conv1",
        "lora_unet_down_blocks_0_resnets_0_time_emb_proj",
        "lora_unet_down_blocks_1_resnets_0_conv_shortcut",
        "lora_unet_down_blocks_0_downsamplers_0_conv",
        "lora_unet_up_blocks_0_upsamplers_0_conv",
        "lora_unet_mid_block_resnets_1_conv2",
    ):
        assert expected in names


def test_a_locon_of_sdxl_has_the_names_of_the_original_release() -> None:
    names = SDXL.unet_targets(sdxl_unet(), convolutions=True)
    assert len(names) == 788
    for expected in (
        "lora_unet_input_blocks_1_0_in_layers_2",
        "lora_unet_input_blocks_3_0_op",
        "lora_unet_input_blocks_4_0_skip_connection",
        "lora_unet_middle_block_2_out_layers_3",
        "lora_unet_output_blocks_2_2_conv",
        "lora_unet_output_blocks_8_0_emb_layers_1",
    ):
        assert expected in names
