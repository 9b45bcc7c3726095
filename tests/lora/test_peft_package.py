"""Files that PEFT and diffusers themselves save are merged to what their own layers compute, for PEFT's methods."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from peft import (
    IA3Config,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    OFTConfig,
    PeftConfig,
    get_peft_model,
    get_peft_model_state_dict,
)
from safetensors.torch import load_file, save_file

from bootstrap.errors import UserError
from bootstrap.lora import formats
from bootstrap.models.family import BaseModel
from tests.lora import layer_outputs
from tests.lora.layer_outputs import Outputs

LINEAR = ["down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "time_embedding.linear_1",
          "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0",
          "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.2"]  # fmt: skip
ALL = [*LINEAR, "conv_in", "down_blocks.1.resnets.0.conv_shortcut", "down_blocks.1.resnets.0.conv1",
       "down_blocks.0.attentions.0.proj_in"]  # fmt: skip
CASES: dict[str, PeftConfig] = {
    "lora": LoraConfig(r=4, lora_alpha=2, target_modules=ALL, init_lora_weights=False),
    "first-pattern": LoraConfig(
        r=8, lora_alpha=2, target_modules=ALL, init_lora_weights=False, rank_pattern={"to_q": 2},
        alpha_pattern={"attn1.to_q": 2, "to_q": 16, ".*linear_1": 4, "linear_1": 32},
    ),
    "rslora": LoraConfig(r=4, lora_alpha=2, target_modules=ALL, init_lora_weights=False, use_rslora=True),
    "dora": LoraConfig(r=4, lora_alpha=2, target_modules=ALL, init_lora_weights=False, use_dora=True),
    "bias": LoraConfig(r=4, lora_alpha=2, target_modules=LINEAR[1:], init_lora_weights=False, lora_bias=True),
    "loha": LoHaConfig(r=4, alpha=2, target_modules=ALL, init_weights=False, use_effective_conv2d=True),
    "lokr": LoKrConfig(r=4, alpha=2, target_modules=ALL, init_weights=False, decompose_both=True),
    "lokr-tucker": LoKrConfig(r=2, alpha=2, target_modules=ALL, init_weights=False, use_effective_conv2d=True),
    "lokr-whole": LoKrConfig(r=40, alpha=20, target_modules=ALL, init_weights=False),
    "oft": OFTConfig(r=0, oft_block_size=4, target_modules=LINEAR, init_weights=False),
    "oft-exact": OFTConfig(
        r=0, oft_block_size=4, target_modules=LINEAR, init_weights=False, use_cayley_neumann=False, block_share=True
    ),
    "oft-terms": OFTConfig(
        r=0, oft_block_size=4, target_modules=LINEAR, init_weights=False, num_cayley_neumann_terms=3
    ),
    "ia3": IA3Config(target_modules=LINEAR, feedforward_modules=LINEAR[-1:], init_ia3_weights=False),
}  # fmt: skip


def saved(base: BaseModel, folder: Path, case: str) -> Outputs:
    """Let PEFT save an adapter of random numbers; return what its own layers compute."""
    torch.manual_seed(0)
    model = get_peft_model(deepcopy(base.denoiser), deepcopy(CASES[case]))  # type: ignore[arg-type]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if "magnitude" in name or "ia3" in name:
                parameter.mul_(1 + 0.2 * noise.abs())
            elif any(kind in name for kind in ("lora_B.default.bias", "hada", "lokr", "oft")):
                parameter.copy_(0.3 * noise)
    model.eval()
    model.save_pretrained(folder)
    names = {base.family.kohya_name(path, "unet"): path for path in CASES[case].target_modules}  # type: ignore[attr-defined]
    inner = model.base_model.model
    return layer_outputs.outputs(base, {name: inner.get_submodule(path) for name, path in names.items()})


@pytest.mark.parametrize("case", CASES)
def test_merging_computes_what_peft_computes(papertown: BaseModel, tmp_path: Path, case: str) -> None:
    expected = saved(papertown, tmp_path, case)
    layer_outputs.assert_same(papertown, formats.read(tmp_path / "adapter_model.safetensors"), 1.0, expected)


def test_the_first_pattern_of_a_saved_config_decides(papertown: BaseModel, tmp_path: Path) -> None:
    """Also after PEFT has sorted the patterns in saving; PEFT itself then has another alpha than in training."""
    saved(papertown, tmp_path, "first-pattern")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    for patterns, alpha in (
        ({"attn1.to_q": 2, "to_q": 16}, 2),
        ({"to_q": 16, "attn1.to_q": 2}, 16),
        ({"to_k|to_q": 5, "to_q": 16}, 5),
        ({"to_q$": 7, "to_q": 16}, 7),
        ({".*to_q": 3, "to_q": 16}, 3),
    ):
        (tmp_path / "adapter_config.json").write_text(json.dumps({**config, "alpha_pattern": patterns}))
        lora = formats.read(tmp_path / "adapter_model.safetensors")
        assert lora.modules[name].alpha == alpha, patterns


def test_what_diffusers_saves_of_a_dora(papertown: BaseModel, tmp_path: Path) -> None:
    from diffusers.training_utils import _collate_lora_metadata

    torch.manual_seed(0)
    unet = deepcopy(papertown.denoiser)
    unet.add_adapter(deepcopy(CASES["dora"]))  # type: ignore[operator]
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "magnitude" in name:
                parameter.mul_(1.3)
    StableDiffusionPipeline.save_lora_weights(
        tmp_path, unet_lora_layers=get_peft_model_state_dict(unet), weight_name="a.safetensors",
        **_collate_lora_metadata({"unet": unet}),
    )  # fmt: skip
    names = {papertown.family.kohya_name(path, "unet"): path for path in ALL}
    expected = layer_outputs.outputs(
        papertown, {name: unet.get_submodule(path) for name, path in names.items()}
    )
    lora = formats.read(tmp_path / "a.safetensors")
    layer_outputs.assert_same(papertown, lora, 1.0, expected)


def test_the_projection_of_the_second_text_encoder(small_xl: BaseModel, tmp_path: Path) -> None:
    """As OneTrainer trains it; under diffusers' name and under kohya's."""
    torch.manual_seed(0)
    encoder = deepcopy(small_xl.text_encoders[1])
    encoder.add_adapter(
        LoraConfig(r=4, lora_alpha=4, target_modules=["text_projection", "fc1"], init_lora_weights=False)
    )  # type: ignore[operator]
    StableDiffusionXLPipeline.save_lora_weights(
        tmp_path, text_encoder_2_lora_layers=get_peft_model_state_dict(encoder), weight_name="a.safetensors"
    )
    lora = formats.read(tmp_path / "a.safetensors")
    assert "lora_te2_text_projection" in lora.names
    layers = {
        small_xl.family.kohya_name(path, "text_encoder_2"): layer
        for path, layer in encoder.named_modules()
        if path.endswith(("text_projection", "fc1"))
    }
    layer_outputs.assert_same(small_xl, lora, 1.0, layer_outputs.outputs(small_xl, layers))
    renamed = {_kohyas(key): tensor for key, tensor in load_file(tmp_path / "a.safetensors").items()}
    save_file(renamed, tmp_path / "b.safetensors")
    assert formats.format_of(tmp_path / "b.safetensors") == "kohya"
    layer_outputs.assert_same(
        small_xl, formats.read(tmp_path / "b.safetensors"), 1.0, layer_outputs.outputs(small_xl, layers)
    )


def _kohyas(key: str) -> str:
    """Return kohya's name of a tensor: its module's dots become underscores."""
    module, _, matrix = key.removesuffix(".weight").rpartition(".lora_")
    flat = module.replace("text_encoder_2.", "lora_te2_").replace(".", "_")
    return f"{flat}.lora_{'down' if matrix == 'A' else 'up'}.weight"


def test_what_has_no_place_in_the_base_model_is_refused_by_name(papertown: BaseModel, tmp_path: Path) -> None:
    """A bias of a layer without one; PEFT's OFT of a convolution, whose forward pass is no merged weight."""
    config = LoraConfig(r=4, target_modules=LINEAR[:1], init_lora_weights=False, lora_bias=True)
    get_peft_model(deepcopy(papertown.denoiser), config).save_pretrained(tmp_path / "bias")  # type: ignore[arg-type]
    from bootstrap.lora.merge import merged

    with pytest.raises(UserError, match=r"attn1_to_q' has a bias of .* has no bias there"):
        merged(papertown, [(formats.read(tmp_path / "bias" / "adapter_model.safetensors"), 1.0)])
    oft = OFTConfig(r=0, oft_block_size=4, target_modules=["conv_in"])
    get_peft_model(deepcopy(papertown.denoiser), oft).save_pretrained(tmp_path / "oft")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"lora_unet_conv_in\.oft_R\.weight' is PEFT's OFT of a convolution"):
        formats.read(tmp_path / "oft" / "adapter_model.safetensors")
