"""LoRA files of models without a family here are told by their names, widths and metadata, and refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bootstrap.errors import UserError
from bootstrap.lora import formats, header
from bootstrap.models.lora_kinds import KINDS, transformer_kind
from tests import sid_command

# A module's name as a trainer writes it, and the width of its input; the kind.
NAMES = [
    ("transformer.single_transformer_blocks.0.attn.to_q", 3072, "flux"),
    ("base_model.model.transformer.single_transformer_blocks.0.attn.to_q", 3072, "flux"),
    ("lora_transformer_single_transformer_blocks_0_attn_to_q", 3072, "flux"),
    ("lora_unet_double_blocks_0_img_attn_qkv", 3072, "flux"),
    ("lora_unet_single_blocks_37_linear1", 3072, "flux"),
    ("diffusion_model.double_blocks.0.img_attn.qkv", 3072, "flux"),
    ("double_blocks.0.img_mlp.0", 3072, "flux"),
    ("diffusion_model.distilled_guidance_layer.layers.0.in_layer", 64, "chroma"),
    ("lora_unet_joint_blocks_0_context_block_attn_proj", 1536, "sd3"),
    ("transformer.transformer_blocks.0.attn.to_q", 1536, "sd3"),
    ("transformer.transformer_blocks.0.attn.add_q_proj", 2432, "sd3"),
    ("transformer_blocks.0.attn.to_q", 3072, "qwen-image"),
    ("transformer.transformer_blocks.59.attn.to_k", 3072, "qwen-image"),
    ("transformer_blocks.3.img_mlp.net.2", 12288, "qwen-image"),
    ("diffusion_model.transformer_blocks.0.attn.add_k_proj", 3072, "qwen-image"),
    ("lora_unet_transformer_blocks_0_txt_mod_1", 3072, "qwen-image"),
    ("lycoris_transformer_blocks_0_attn_to_q", 3072, "qwen-image"),
    ("lora_unet_layers_0_attention_qkv", 2304, "lumina2"),
    ("lora_unet_blocks_0_self_attn_q_proj", 2048, "anima"),
    ("diffusion_model.blocks.0.cross_attn.output_proj", 2048, "anima"),
    ("diffusion_model.llm_adapter.blocks.0.mlp.0", 1024, "anima"),
    ("blocks.0.mlp.layer1", 2048, "anima"),
    ("diffusion_model.blocks.0.self_attn.q", 5120, "wan"),
    ("lora_unet_blocks_0_cross_attn_k_img", 5120, "wan"),
    ("transformer.blocks.0.attn1.to_q", 1536, "wan"),
    ("diffusion_model.blocks.39.ffn.0", 5120, "wan"),
    ("lora_unet_double_blocks_0_img_mlp_fc1", 3072, "hunyuan-video"),
    ("transformer.double_stream_blocks.0.block.attn1.to_q", 2560, "hidream"),
    ("transformer.transformer_blocks.0.attn1.to_q", 1152, "pixart"),
    ("diffusion_model.transformer_blocks.0.attn1.to_q", 2048, "ltx-video"),
    ("lora_prior_unet_down_blocks_0_attn", 2048, "stable-cascade"),
    ("base_model.model.model.layers.0.self_attn.q_proj", 4096, "unknown"),
    ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 1024, "sd2"),
    ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v", 1024, "sd2"),
    ("lora_te_text_model_encoder_layers_0_mlp_fc1", 1024, "sd2"),
]


@pytest.fixture
def sid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    return sid_command.in_this_process(monkeypatch, capsys)


def write(path: Path, module: str, width: int, metadata: dict[str, str] | None = None) -> Path:
    is_kohya = module.startswith(("lora_", "lycoris_"))
    down, up = ("lora_down", "lora_up") if is_kohya else ("lora_A", "lora_B")
    tensors = {f"{module}.{down}.weight": torch.zeros(4, width), f"{module}.{up}.weight": torch.zeros(8, 4)}
    save_file(tensors, path, metadata)
    return path


@pytest.mark.parametrize(("module", "width", "kind"), NAMES)
def test_a_file_is_told_by_its_modules_names(tmp_path: Path, module: str, width: int, kind: str) -> None:
    path = write(tmp_path / "a.safetensors", module, width)
    with pytest.raises(UserError, match="made for another kind of model") as refused:
        formats.read(path)
    assert KINDS[kind].title in str(refused.value)
    assert "\n" not in str(refused.value)
    assert header.recognized(path).key == kind


@pytest.mark.parametrize(
    ("module", "metadata", "kind"),
    [
        ("lora_unet_double_blocks_0_img_attn_proj", {"modelspec.architecture": "chroma/lora"}, "chroma"),
        ("lora_unet_double_blocks_0_img_attn_proj", {"ss_base_model_version": "flux_2_klein"}, "flux2"),
        ("lora_unet_double_blocks_0_img_attn_proj", {"modelspec.architecture": "flux-1-dev/lora"}, "flux"),
        ("transformer_blocks.0.attn.to_q", {"modelspec.architecture": "stable-diffusion-3-medium/lora"}, "sd3"),
        ("lora_unet_layers_0_attention_qkv", {"modelspec.architecture": "lumina-2/lora"}, "lumina2"),
        ("lora_unet_down_blocks_0_resnets_0_conv1", {"ss_v2": "True"}, "sd2"),
        ("lora_unet_mid_block_resnets_0_conv1", {"modelspec.architecture": "stable-diffusion-v2-768-v/lora"}, "sd2"),
        ("lora_unet_joint_blocks_0_x_block_attn_proj", {"ss_base_model_version": "sd_v1"}, "sd3"),
    ],
)  # fmt: skip
def test_metadata_decide_where_names_do_not(module: str, metadata: dict[str, str], kind: str) -> None:
    found = transformer_kind({f"{module}.lora_down.weight": (4, 3072)}, metadata)
    assert found is not None and found.key == kind


@pytest.mark.parametrize(
    ("module", "columns", "rows", "kind"),
    [
        ("single_blocks_0_linear1", 1, 7, "flux"), ("single_blocks_0_linear1", 1, 9, "flux2"),
        ("single_blocks_0_linear2", 5, 1, "flux"), ("single_blocks_0_linear2", 4, 1, "flux2"),
        ("double_blocks_0_img_mlp_0", 1, 4, "flux"), ("double_blocks_0_img_mlp_0", 1, 6, "flux2"),
        ("double_blocks_0_txt_mlp_2", 4, 1, "flux"), ("double_blocks_0_txt_mlp_2", 3, 1, "flux2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("width", [32, 3072])
def test_flux_2_is_told_from_flux_1_by_its_layers_sizes(
    module: str, columns: int, rows: int, kind: str, width: int
) -> None:
    for prefix, down, up in (
        ("lora_unet_", "lora_down", "lora_up"),
        ("diffusion_model.", "lora_A", "lora_B"),
    ):
        name = prefix + module
        shapes = {f"{name}.{down}.weight": (4, columns * width), f"{name}.{up}.weight": (rows * width, 4)}
        found = transformer_kind(shapes, {})
        assert found is not None and found.key == kind


@pytest.mark.parametrize(("blocks", "kind"), [(5, "flux2"), (19, "flux")])
def test_flux_2_klein_is_told_by_its_number_of_blocks_too(blocks: int, kind: str) -> None:
    """Attention alone has the same sizes in both."""
    names = [f"diffusion_model.double_blocks.{number}.img_attn.qkv.lora_A.weight" for number in range(blocks)]
    found = transformer_kind(dict.fromkeys(names, (4, 3072)), {})
    assert found is not None and found.key == kind


@pytest.mark.parametrize(
    ("module", "width", "family"),
    [
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 768, "sd1"),
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", 320, "sd1"),
        ("lycoris_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 768, "sd1"),
        ("diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q", 320, "sd1"),
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", 2048, "sdxl"),
        ("lora_unet_down_blocks_1_attentions_0_transformer_blocks_1_attn2_to_k", 2048, "sdxl"),
        ("lycoris_down_blocks_1_attentions_0_transformer_blocks_1_attn2_to_k", 2048, "sdxl"),
        ("diffusion_model.input_blocks.4.1.transformer_blocks.1.attn2.to_k", 2048, "sdxl"),
        ("diffusion_model.label_emb.0.0", 2816, "sdxl"),
        ("text_encoder_2.text_model.encoder.layers.0.mlp.fc1", 1280, "sdxl"),
        ("lora_te2_text_projection", 1280, "sdxl"),
        ("text_encoders.clip_g.transformer.text_model.encoder.layers.0.mlp.fc1", 1280, "sdxl"),
        ("diffusion_model.double_blocks.0.img_attn.qkv", 4096, "flux2"),
        ("lora_unet_double_blocks_7_img_attn_proj", 6144, "flux2"),
        ("transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj", 3072, "flux2"),
        ("diffusion_model.double_stream_modulation_img.lin", 3072, "flux2"),
        ("lora_unet_layers_0_attention_to_q", 3840, "z-image"),
        ("lora_unet_layers_0_feed_forward_w1", 3840, "z-image"),
        ("diffusion_model.layers.0.attention.qkv", 3840, "z-image"),
        ("transformer.noise_refiner.1.attention.to_out.0", 3840, "z-image"),
        ("transformer.single_transformer_blocks.3.attn.to_out", 12288, "flux2"),
        ("lora_transformer_layers_29_attention_to_out_0", 3840, "z-image"),
        ("lycoris_context_refiner_1_feed_forward_w2", 10240, "z-image"),
        ("layers.0.attention.to_q", 3840, "z-image"),
    ],
)
def test_a_file_of_a_family_is_told_too(tmp_path: Path, module: str, width: int, family: str) -> None:
    found = header.recognized(write(tmp_path / "a.safetensors", module, width))
    assert found.key == family


@pytest.mark.parametrize(("module", "width", "kind"), NAMES[::6])
def test_inspect_names_the_family(
    sid: Callable[..., tuple[int, str, str]], tmp_path: Path, module: str, width: int, kind: str
) -> None:
    path = write(tmp_path / "a.safetensors", module, width, {"ss_output_name": "a"})
    code, out, _ = sid("lora", "inspect", str(path))
    assert code == 0
    assert f"made for: {KINDS[kind].title}" in out
    code, out, _ = sid("lora", "inspect", str(path), "--json")
    facts = json.loads(out)
    assert (code, facts["family"], facts["drawable"]) == (0, kind, False)
    assert facts["ranks"] == {"4": 1}
    assert facts["metadata"] == {"ss_output_name": "a"}


def test_inspect_prints_json_of_a_family_too(
    sid: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    path = tmp_path / "a.safetensors"
    name = "lora_unet_mid_block_attentions_0_proj_in"
    save_file(
        {f"{name}.lora_down.weight": torch.zeros(4, 8), f"{name}.lora_up.weight": torch.zeros(8, 4),
         f"{name}.alpha": torch.tensor(2.0)}, path,
    )  # fmt: skip
    code, out, _ = sid("lora", "inspect", str(path), "--base", "papertown", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["family"], facts["format"], facts["kinds"]) == ("sd1", "kohya", ["LoRA"])
    assert (facts["modules"], facts["ranks"], facts["alphas"]) == ({"UNet": 1}, {"4": 1}, {"2": 1})
    assert facts["base"] == {"name": "papertown", "fitting": 1, "modules": 1, "unknown": []}
