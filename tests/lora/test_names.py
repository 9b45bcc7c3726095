"""Kohya's names and module paths, one from the other, for every module there is."""

import pytest

from bootstrap.base_model import BaseModel
from bootstrap.lora.names import kohya_name, module_path
from bootstrap.lora.targets import text_encoder_targets, unet_targets
from tests.lora.test_targets import sd15_text_encoder, sd15_unet


def test_every_module_of_sd15_goes_there_and_back() -> None:
    unet, text = unet_targets(sd15_unet()), text_encoder_targets(sd15_text_encoder())
    assert len(unet | text) == 264
    for name, path in unet.items():
        assert module_path(name) == (path, False)
    for name, path in text.items():
        full = path if path.startswith("text_model.") else f"text_model.{path}"
        assert module_path(name) == (full, True)
        assert kohya_name(full, text_encoder=True) == kohya_name(path, text_encoder=True) == name


def test_convolutions_outside_of_the_attention_have_names_too(papertown: BaseModel) -> None:
    for path, module in papertown.unet.named_modules():
        if type(module).__name__ in ("Conv2d", "Linear"):
            assert module_path(kohya_name(path, text_encoder=False)) == (path, False)


@pytest.mark.parametrize(
    "name", ["", "lora_unet_foo_1", "lora_te2_text_model_x", "down_blocks_0", "lora_unet_mid_blocks_0"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}'"):
        module_path(name)
