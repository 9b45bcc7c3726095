"""Base models of the flow-matching families with random weights, in diffusers' layout: under a second each."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers import pre_tokenizers
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM, Qwen3Model

TEXT_WIDTH = 32
_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)  # Qwen3's, for a single message


def tokenizer() -> Qwen2Tokenizer:
    """Return a tokenizer of Qwen's kind in which each byte is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Qwen2Tokenizer(
        vocab={letter: number for number, letter in enumerate(alphabet)},
        merges=[],
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=["<|im_start|>"],
        model_max_length=4096,
    )
    made.chat_template = _TEMPLATE
    return made


def qwen3_config(layers: int) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=320, hidden_size=TEXT_WIDTH, intermediate_size=48, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16, max_position_embeddings=1024,
    )  # fmt: skip


def randomized(module: torch.nn.Module) -> torch.nn.Module:
    """Give parameters that begin at zero or one (paddings, norms, gates) values of their own."""
    for parameter in module.parameters():
        if parameter.std() == 0 or parameter.numel() == 1:
            parameter.data = parameter.data + 0.2 * torch.randn(parameter.shape)
    return module.eval()


def z_image(folder: Path, shift: float = 6.0) -> Path:
    """Write a model of Z-Image's family: a shift of 3 makes it Turbo."""
    torch.manual_seed(0)
    text = tokenizer()
    transformer = ZImageTransformer2DModel(
        in_channels=4, dim=24, n_layers=4, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=TEXT_WIDTH,
        axes_dims=[4, 4, 4], axes_lens=[640, 64, 64],
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4, sample_size=64,
        shift_factor=0.1, scaling_factor=0.7,
    )  # fmt: skip
    pipeline = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=shift),
        vae=vae.eval(),
        text_encoder=Qwen3Model(qwen3_config(3)).eval(),
        tokenizer=text,
        transformer=randomized(transformer),
    )
    pipeline.save_pretrained(folder)
    return folder


def flux2_klein(folder: Path, is_distilled: bool = False) -> Path:
    """Write a model of FLUX.2 klein's family."""
    torch.manual_seed(0)
    text = tokenizer()
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4, sample_size=64,
    )  # fmt: skip
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    pipeline = Flux2KleinPipeline(
        # FLUX.2's scheduler: model card of black-forest-labs/FLUX.2-klein-4B.
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True, time_shift_type="exponential"),
        vae=vae.eval(),
        text_encoder=Qwen3ForCausalLM(qwen3_config(28)).eval(),
        tokenizer=text,
        transformer=Flux2Transformer2DModel(
            in_channels=16, num_layers=2, num_single_layers=2, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=3 * TEXT_WIDTH, timestep_guidance_channels=16, axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ).eval(),
        is_distilled=is_distilled,
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder
