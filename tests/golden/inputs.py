"""What the scenes start from: tiny models, a LoRA file and an embedding, the same bytes whatever library writes them.

All weights come from NumPy's PCG64, which gives the same numbers on every machine.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tests.golden.doors import ROOT

_PACKAGE = next(
    path for path in sorted(ROOT.rglob("originals/badge.png")) if ".venv" not in path.parts
).parent
_TOKENIZER = next(
    path.parent
    for path in sorted(ROOT.rglob("papertown/tokenizer/tokenizer.json"))
    if ".venv" not in path.parts
)


def original(name: str) -> tuple[Path, str]:
    """A bundled picture and its caption."""
    return _PACKAGE / f"{name}.png", (_PACKAGE / f"{name}.txt").read_text("utf-8").strip()


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write float32 tensors without metadata."""
    header, blocks, end = {}, [], 0
    for name, tensor in sorted(tensors.items()):
        block = np.ascontiguousarray(tensor, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + len(block)]}
        blocks.append(block)
        end += len(block)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blocks))


def _uniform(seed: int, *shape: int, scale: float) -> np.ndarray:
    return (2 * np.random.Generator(np.random.PCG64(seed)).random(shape, np.float32) - 1) * np.float32(scale)


def ink_lora(path: Path) -> None:
    """A LoRA for Paper Town in kohya's format: one module of the UNet, one of the text encoder."""
    modules = {
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q": 64,
        "lora_te_text_model_encoder_layers_1_self_attn_q_proj": 128,
    }
    tensors = {}
    for seed, (name, width) in enumerate(modules.items()):
        tensors[f"{name}.lora_down.weight"] = _uniform(10 * seed + 1, 4, width, scale=0.5)
        tensors[f"{name}.lora_up.weight"] = _uniform(10 * seed + 2, width, 4, scale=0.5)
        tensors[f"{name}.alpha"] = np.array(4.0)
    write_safetensors(path, tensors)


def embedding(path: Path) -> None:
    """An embedding of two vectors for Paper Town's text encoder."""
    write_safetensors(path, {"emb_params": _uniform(5, 2, 128, scale=0.05)})


def mask(path: Path) -> None:
    """A mask of 128 x 128 pixels: white where the window is."""
    picture = Image.new("RGB", (128, 128))
    ImageDraw.Draw(picture).ellipse((4, 4, 44, 50), fill="white")
    picture.save(path)


def _filled(parts: Iterable[object]) -> None:
    """Give every parameter of some models its weights."""
    import torch

    for part in parts:
        for seed, (name, parameter) in enumerate(sorted(part.named_parameters())):  # type: ignore[attr-defined]
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 100
            values = _uniform(seed, *parameter.shape, scale=fan_in**-0.5)
            if "norm" in name and name.endswith("weight"):
                values = values + np.float32(1)
            parameter.data = torch.from_numpy(values)


def _text_config(width: int, layers: int) -> dict[str, int]:
    return {
        "vocab_size": 869, "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers,
        "num_attention_heads": 2, "projection_dim": width, "bos_token_id": 867, "eos_token_id": 868,
        "pad_token_id": 868,
    }  # fmt: skip


def tiny_sd15(folder: Path) -> None:
    """A Stable Diffusion 1.x of few channels that predicts v, with zero terminal SNR, for pictures of 64 x 64."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(32, 32, 64, 64), cross_attention_dim=32, attention_head_dim=2
    )
    vae = AutoencoderKL(
        block_out_channels=[32] * 4, latent_channels=4, sample_size=64,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
    )  # fmt: skip
    text_encoder = CLIPTextModel(CLIPTextConfig(**_text_config(32, 3)))
    _filled([unet, vae, text_encoder])
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1,
        prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing",
    )  # fmt: skip
    tokenizer = CLIPTokenizer.from_pretrained(_TOKENIZER)
    StableDiffusionPipeline(
        vae, text_encoder, tokenizer, unet, scheduler, None, None, requires_safety_checker=False
    ).save_pretrained(folder)


def tiny_sdxl(folder: Path) -> None:
    """A Stable Diffusion XL of few channels, for pictures of 64 x 64."""
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(32, 64, 64), cross_attention_dim=96, attention_head_dim=(1, 2, 2),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 1, 2], use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, projection_class_embeddings_input_dim=64 + 6 * 8,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=[32] * 4, latent_channels=4, sample_size=64, scaling_factor=0.13025,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
    )  # fmt: skip
    first = CLIPTextModel(CLIPTextConfig(**_text_config(32, 2)))
    second = CLIPTextModelWithProjection(CLIPTextConfig(**_text_config(64, 3)))
    _filled([unet, vae, first, second])
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        timestep_spacing="leading",
    )
    tokenizers = [CLIPTokenizer.from_pretrained(_TOKENIZER) for _ in range(2)]
    StableDiffusionXLPipeline(
        vae, first, second, *tokenizers, unet, scheduler, add_watermarker=False
    ).save_pretrained(folder)
