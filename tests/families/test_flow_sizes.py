"""The published sizes of the flow-matching families, without their weights: modules of a LoRA, memory forecast."""

from collections.abc import Callable

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, Flux2Transformer2DModel, ZImageTransformer2DModel
from transformers import Qwen3Config, Qwen3Model

from bootstrap.lora.targets import target_modules
from bootstrap.models.families.flux2 import FLUX2_KLEIN
from bootstrap.models.families.z_image import Z_IMAGE
from bootstrap.models.family import BaseModel, BaseModelSpec
from bootstrap.project.settings import TrainingSection
from bootstrap.training import memory
from tests.families import tiny_transformers


def qwen3() -> Qwen3Model:
    """Return Qwen3-4B (its config.json)."""
    return Qwen3Model(
        Qwen3Config(
            vocab_size=151936, hidden_size=2560, intermediate_size=9728, num_hidden_layers=36, num_attention_heads=32,
            num_key_value_heads=8, head_dim=128, max_position_embeddings=40960,
        )
    )  # fmt: skip


def z_image() -> BaseModel:
    """Return Z-Image without values; its transformer's configuration is the class's default."""
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, latent_channels=16, sample_size=1024,
        use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    return base_of(Z_IMAGE, ZImageTransformer2DModel(), vae)


def flux2_klein() -> BaseModel:
    """Return FLUX.2 klein 4B without values (musubi-tuner, flux_2/flux2_models.py, `Klein4BParams`)."""
    transformer = Flux2Transformer2DModel(
        num_layers=5,
        num_single_layers=20,
        num_attention_heads=24,
        joint_attention_dim=7680,
        guidance_embeds=False,
    )
    return base_of(FLUX2_KLEIN, transformer, AutoencoderKLFlux2())


def base_of(family, transformer: torch.nn.Module, vae: torch.nn.Module) -> BaseModel:  # type: ignore[no-untyped-def]
    parts = [part.to(torch.bfloat16) for part in (transformer, vae, qwen3())]
    sizes = family.geometry_of({"transformer": transformer.config, "vae": vae.config})
    return BaseModel(
        BaseModelSpec("published", "folder", "published"), "", family, sizes, parts[0], parts[1], [parts[2]],
        [tiny_transformers.tokenizer()], {},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("build", "modules", "billions", "step", "gibibytes"),
    [(z_image, 210, 6.15, 16, (19.4, 24)), (flux2_klein, 100, 3.88, 16, (15.0, 20))],
)
def test_published_sizes(
    build: Callable[[], BaseModel], modules: int, billions: float, step: int, gibibytes: tuple[float, float]
) -> None:
    with torch.device("meta"):
        base = build()
    assert len(target_modules(base)) == modules
    assert sum(each.numel() for each in base.denoiser.parameters()) / 1e9 == pytest.approx(billions, abs=0.02)
    assert (base.geometry.resolution, base.geometry.size_step) == (1024, step)

    settings = {"network_dim": 16, "network_alpha": 16, "text_encoder_lr": 0.0}
    forecasts = [
        memory.predicted_bytes(
            base,
            TrainingSection.model_validate({**settings, "gradient_checkpointing": checkpointing}),
            (1024, 1024),
            base.family.filled(90),  # type: ignore[attr-defined]
            half_precision=True,
        )
        / 2**30
        for checkpointing in (False, True)
    ]
    print(f"{base.family.title}: {forecasts[0]:.1f} GiB, {forecasts[1]:.1f} GiB with gradient checkpointing")
    assert forecasts[1] < forecasts[0]
    assert gibibytes[0] < forecasts[1] < gibibytes[1]
