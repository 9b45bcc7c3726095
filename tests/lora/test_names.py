"""Kohya's names and module paths, one from the other, for every module there is."""

import pytest
from bootstrap.lora.names import is_sdxl, kohya_name, module_path

from bootstrap.lora.targets import text_encoder_targets, unet_targets
from bootstrap.models.family import BaseModel
from tests.lora.test_targets import sd15_text_encoder, sd15_unet, sdxl_text_encoder_2, sdxl_unet


def test_every_module_of_sd15_goes_there_and_back() -> None:
    unet, text = unet_targets(sd15_unet(), convolutions=True), text_encoder_targets(sd15_text_encoder())
    assert len(unet_targets(sd15_unet()) | text) == 264
    for name, path in unet.items():
        assert module_path(name) == (path, "unet")
    for name, path in text.items():
        full = path if path.startswith("text_model.") else f"text_model.{path}"
        assert module_path(name) == (full, "text_encoder")
        assert kohya_name(full, "text_encoder") == kohya_name(path, "text_encoder") == name
    assert not is_sdxl(unet)
    assert not is_sdxl(text)


def test_every_module_of_sdxl_goes_there_and_back() -> None:
    unet = unet_targets(sdxl_unet(), convolutions=True)
    for name, path in unet.items():
        assert module_path(name) == (path, "unet")
    for part, text_encoder in (
        ("text_encoder", sd15_text_encoder()),
        ("text_encoder_2", sdxl_text_encoder_2()),
    ):
        for name, path in text_encoder_targets(text_encoder, part, sdxl=True).items():
            full = path if path.startswith("text_model.") else f"text_model.{path}"
            assert module_path(name) == (full, part)
        assert is_sdxl(text_encoder_targets(text_encoder, part, sdxl=True))
    assert is_sdxl(unet)
    assert is_sdxl(unet.values())  # in diffusers' names
    assert not is_sdxl(["lora_te1_text_model_encoder_layers_0_mlp_fc1", *unet_targets(sd15_unet())])


def test_convolutions_outside_of_the_attention_have_names_too(papertown: BaseModel) -> None:
    for path, module in papertown.unet.named_modules():
        if type(module).__name__ in ("Conv2d", "Linear"):
            assert module_path(kohya_name(path, "unet")) == (path, "unet")


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
