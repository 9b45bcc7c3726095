"""The stage `vae`: the autoencoder between pictures and latents."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from bootstrap.papertown import data
from bootstrap.papertown.ink import as_ink
from bootstrap.papertown.sheets import save_grid
from bootstrap.papertown.training import Plan, Training

LATENT_CHANNELS = 8
# Noise on the latents while training, beside latents of about unit size: neighbouring latents must decode to
# neighbouring pictures, or the base model's small errors would be seen.
LATENT_NOISE = 0.05
SIZE_PENALTY = 1e-3
# The ink model shares this autoencoder.
INK_SHARE = 0.25


def plan(device: torch.device, samples: int | None) -> Plan:
    """The VAE's training; a GPU takes bigger batches and can afford more of them."""
    if device.type == "cuda":
        return Plan(samples or 1_200_000, batch=64, muon_lr=0.02, adam_lr=1.5e-3)
    return Plan(samples or 28_000, batch=8, muon_lr=0.02, adam_lr=1.5e-3)


def new_vae() -> AutoencoderKL:
    """An untrained autoencoder: 8 pixels to a latent, 2.7 million weights."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 128),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=data.SIZE,
    )


@torch.no_grad()
def set_spread(vae: AutoencoderKL) -> None:
    """Let latents be sampled with the noise that the VAE is trained with, wherever its weights come from.

    It is trained on the mean alone, and so is the base model. A wider spread would be noise in what a LoRA is
    trained on, and the LoRA would learn to draw it.
    """
    vae.quant_conv.weight[LATENT_CHANNELS:] = 0
    vae.quant_conv.bias[LATENT_CHANNELS:] = 2 * math.log(LATENT_NOISE)


def train(
    directory: Path,
    device: torch.device,
    minutes: float | None,
    samples: int | None = None,
    start: Path | None = None,
) -> None:
    """Train the VAE on the rendered pictures; the one so far is written to `directory`/vae/model.

    It sees accents, as Stable Diffusion's VAE has seen nearly everything: what it cannot draw, no LoRA can.
    It begins with the VAE of the model in the folder `start`, where one is named.
    """
    torch.manual_seed(0)
    vae = AutoencoderKL.from_pretrained(start, subfolder="vae") if start else new_vae()
    set_spread(vae)
    vae.to(device, torch.float32, memory_format=torch.channels_last).train()
    training = Training(directory / "vae", {"vae": vae}, plan(device, samples))
    pictures = data.Pictures(directory / "data", "train", "accents")
    held_out = data.held_out(128)
    looks = {"flat": held_out, "accents": data.held_out(128, accents=True), "ink": as_ink(held_out)}

    def loss(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng((training.plan.seed, step))
        flat = data.on_device(pictures.batch(rng.integers(len(pictures), size=training.plan.batch)), device)
        inked = torch.rand(len(flat), generator=generator, device=device) < INK_SHARE
        seen = data.to_model(torch.where(inked.view(-1, 1, 1, 1), as_ink(flat), flat))
        with torch.autocast(device.type, dtype=torch.bfloat16):
            latents = vae.encode(seen).latent_dist.mean
            noise = torch.randn(latents.shape, generator=generator, device=device)
            drawn = vae.decode(latents + LATENT_NOISE * noise).sample
        return _loss(seen, drawn.float(), latents.float())

    def report() -> None:
        shown = []
        for look, pictures in looks.items():
            drawn, latents = reconstruct(vae, pictures)
            psnr = peak_signal_to_noise(data.to_model(pictures), drawn)
            print(f"vae: {psnr:.2f} dB on held-out scenes, {look}", flush=True)
            shown += [pictures[:10], data.to_pixels(drawn[:10])]
            if look == "flat":  # the latents that the base model sees have unit size
                vae.register_to_config(scaling_factor=float(1 / latents.std()))
        save_grid(torch.cat(shown), 10, training.folder / "held-out.png")
        vae.save_pretrained(training.folder / "model")

    training.run(loss, minutes, report)


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, pictures: Tensor, batch: int = 32) -> tuple[Tensor, Tensor]:
    """Encode and decode uint8 pictures: (n, 3, h, w) in -1..1, and the latents; both float32 on the CPU."""
    device = next(vae.parameters()).device
    drawn, latents = [], []
    for part in pictures.split(batch):
        mean = vae.encode(data.to_model(part).to(device)).latent_dist.mean
        latents.append(mean.cpu())
        drawn.append(vae.decode(mean).sample.clamp(-1, 1).cpu())
    return torch.cat(drawn), torch.cat(latents)


def peak_signal_to_noise(one: Tensor, other: Tensor) -> float:
    """PSNR in dB over all pictures together, of values in -1..1."""
    return 10 * math.log10(4 / (one - other).pow(2).mean().item())


def _loss(seen: Tensor, drawn: Tensor, latents: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Absolute error, error of the edges (flat drawings are mostly edges) and squared error."""
    absolute = (drawn - seen).abs().mean()
    squared = (drawn - seen).pow(2).mean()
    down, across = ((drawn.diff(dim=d) - seen.diff(dim=d)).abs().mean() for d in (2, 3))
    edges = down + across
    size = latents.pow(2).mean()
    figures = {"absolute": absolute, "edges": edges, "squared": squared, "latents": size}
    total = absolute + edges + squared + SIZE_PENALTY * size
    return total, {name: figure.detach() for name, figure in figures.items()}
