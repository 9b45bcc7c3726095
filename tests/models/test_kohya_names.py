"""Kohya's names convert to module paths and back, for every module."""

import pytest

from bootstrap.models import registry
from bootstrap.models.families.kohya_names import module_path
from bootstrap.models.families.sd1 import SD1
from bootstrap.models.families.sdxl import SDXL
from bootstrap.models.family import BaseModel
from tests.models.test_sd_targets import sd15_text_encoder, sd15_unet, sdxl_text_encoder_2, sdxl_unet


def test_every_name_of_sd15_converts_to_a_path_and_back() -> None:
    unet = SD1.unet_targets(sd15_unet(), convolutions=True)
    text = SD1.text_encoder_targets(sd15_text_encoder())
    assert len(SD1.unet_targets(sd15_unet()) | text) == 264
    for name, path in unet.items():
        assert module_path(name) == (path, "unet")
    for name, path in text.items():
        full = path if path.startswith("text_model.") else f"text_model.{path}"
        assert module_path(name) == (full, "text_encoder")
        assert SD1.kohya_name(full, "text_encoder") == SD1.kohya_name(path, "text_encoder") == name
    assert registry.of_lora(unet) is SD1
    assert registry.of_lora(text) is SD1
    assert registry.of_lora(f"unet.{path}" for path in unet.values()) is SD1


def test_every_name_of_sdxl_converts_to_a_path_and_back() -> None:
    unet = SDXL.unet_targets(sdxl_unet(), convolutions=True)
    for name, path in unet.items():
        assert module_path(name) == (path, "unet")
    for part, text_encoder in (
        ("text_encoder", sd15_text_encoder()),
        ("text_encoder_2", sdxl_text_encoder_2()),
    ):
        for name, path in SDXL.text_encoder_targets(text_encoder, part).items():
            full = path if path.startswith("text_model.") else f"text_model.{path}"
            assert module_path(name) == (full, part)
        assert registry.of_lora(SDXL.text_encoder_targets(text_encoder, part)) is SDXL
    assert registry.of_lora(unet) is SDXL
    assert registry.of_lora(f"unet.{path}.lora_A.weight" for path in unet.values()) is SDXL
    assert registry.of_lora(f"base_model.model.{path}.lora_A.weight" for path in unet.values()) is SDXL
    both = ["lora_te1_text_model_encoder_layers_0_mlp_fc1", *SD1.unet_targets(sd15_unet())]
    assert registry.of_lora(both) is SD1


def test_convolutions_outside_the_attention_blocks_have_names_too(papertown: BaseModel) -> None:
    for path, module in papertown.denoiser.named_modules():
        if type(module).__name__ in ("Conv2d", "Linear"):
            assert module_path(SD1.kohya_name(path, "unet")) == (path, "unet")


@pytest.mark.parametrize(
    "name",
    [
        "transformer.transformer_blocks.0.attn.to_q.lora_A.weight",
        "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight",
        "lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight",
        "diffusion_model.layers.0.attention.to_q.lora_A.weight",
        "model.weight",
    ],
)
def test_a_lora_of_another_kind_of_model_is_of_no_family(name: str) -> None:
    assert registry.of_lora([name]) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "lora_unet_foo_1",
        "lora_te2_text_model_x",
        "down_blocks_0",
        "lora_unet_mid_blocks_0",
        "lora_te3_text_model",
        "lora_unet_input_blocks_1_0_conv",
        "lora_unet_output_blocks_1_0_op",
        "lora_unet_output_blocks_3_2_conv",
        "lora_unet_middle_block_1_in_layers_2",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}'"):
        module_path(name)
