"""The stage `vae`: the autoencoder between pictures and latents."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from bootstrap.files import whole_folder
from bootstrap.papertown import data
from bootstrap.papertown.ink import as_ink
from bootstrap.papertown.sheets import save_grid
from bootstrap.papertown.training import Hyperparameters, Training

LATENT_CHANNELS = 8
# Standard deviation of the noise added to the latents in training; the latents' own is about 1. Nearby latents
# must decode to nearby pictures, or the base model's small errors would be visible.
LATENT_NOISE = 0.05
SIZE_PENALTY = 1e-3  # weight of the latents' mean square in the loss
INK_SHARE = 0.25  # of the training pictures; the ink model shares this autoencoder


def vae_hyperparameters(device: torch.device, samples: int | None) -> Hyperparameters:
    """Return the VAE's hyperparameters; a GPU trains on larger batches and on more samples.

    `samples` replaces the default number of samples.
    """
    if device.type == "cuda":
        return Hyperparameters(samples or 1_200_000, batch=64, muon_lr=0.02, adam_lr=1.5e-3)
    return Hyperparameters(samples or 28_000, batch=8, muon_lr=0.02, adam_lr=1.5e-3)


def new_vae() -> AutoencoderKL:
    """Return an untrained autoencoder: 8 x 8 pixels per latent cell, 2.7 million weights."""
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
    """Set the encoder's predicted standard deviation to LATENT_NOISE, the noise that the VAE is trained with.

    The VAE and the base model are trained on the predicted mean alone. A larger deviation would add noise to the
    latents that a LoRA is trained on, and the LoRA would learn to draw that noise.
    """
    vae.quant_conv.weight[LATENT_CHANNELS:] = 0
    vae.quant_conv.bias[LATENT_CHANNELS:] = 2 * math.log(LATENT_NOISE)


def train_vae(
    directory: Path,
    device: torch.device,
    minutes: float | None,
    samples: int | None = None,
    start: Path | None = None,
) -> None:
    """Train the VAE on the rendered pictures; each report writes the current VAE to `directory`/vae/model.

    The training pictures include accents, just as Stable Diffusion's VAE has seen nearly everything: no LoRA can
    draw what the VAE cannot. Training starts from the VAE of the model in the folder `start`, if given.
    """
    torch.manual_seed(0)
    vae = AutoencoderKL.from_pretrained(start, subfolder="vae") if start else new_vae()
    set_spread(vae)
    vae.to(device, torch.float32, memory_format=torch.channels_last).train()
    training = Training(directory / "vae", {"vae": vae}, vae_hyperparameters(device, samples))
    pictures = data.Pictures(directory / "data", "train", "accents")
    held_out = data.held_out(128)
    looks = {"flat": held_out, "accents": data.held_out(128, accents=True), "ink": as_ink(held_out)}

    def loss(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng((training.hyperparameters.seed, step))
        numbers = rng.integers(len(pictures), size=training.hyperparameters.batch)
        flat = data.on_device(pictures.batch(numbers), device)
        inked = torch.rand(len(flat), generator=generator, device=device) < INK_SHARE
        wanted = data.to_model(torch.where(inked.view(-1, 1, 1, 1), as_ink(flat), flat))
        return autoencoder_loss(vae, wanted, generator)

    def report() -> None:
        rows = []
        for look, pictures in looks.items():
            decoded, latents = reconstruct(vae, pictures)
            psnr = peak_signal_to_noise(data.to_model(pictures), decoded)
            print(f"vae: {psnr:.2f} dB on held-out scenes, {look}", flush=True)
            rows += [pictures[:10], data.to_pixels(decoded[:10])]
            if look == "flat":  # the base model is trained on latents with a standard deviation of 1
                vae.register_to_config(scaling_factor=float(1 / latents.std()))
        save_grid(torch.cat(rows), 10, training.folder / "held-out.png")
        with whole_folder(training.folder / "model", replaces=True) as unfinished:
            vae.save_pretrained(unfinished)

    training.run(loss, minutes, report)


def autoencoder_loss(
    vae: AutoencoderKL, wanted: Tensor, generator: torch.Generator, weights: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return a training step's loss for the pictures `wanted`, from `data.to_model`, and its terms by name.

    `weights` are those of the pixels, (n, 1, height, width), of mean 1.
    """
    with torch.autocast(wanted.device.type, dtype=torch.bfloat16):
        latents = vae.encode(wanted).latent_dist.mean
        noise = torch.randn(latents.shape, generator=generator, device=wanted.device)
        decoded = vae.decode(latents + LATENT_NOISE * noise).sample
    return _loss(wanted, decoded.float(), latents.float(), weights)


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, pictures: Tensor, batch: int = 32) -> tuple[Tensor, Tensor]:
    """Encode and decode uint8 pictures (n, 3, h, w).

    Returns:
        The decoded pictures, (n, 3, h, w) in -1..1, and the latents, (n, LATENT_CHANNELS, h / 8, w / 8), unscaled;
        both float32 on the CPU.
    """
    device = next(vae.parameters()).device
    decoded, latents = [], []
    for part in pictures.split(batch):
        mean = vae.encode(data.to_model(part).to(device)).latent_dist.mean
        latents.append(mean.cpu())
        decoded.append(vae.decode(mean).sample.clamp(-1, 1).cpu())
    return torch.cat(decoded), torch.cat(latents)


def peak_signal_to_noise(originals: Tensor, decoded: Tensor) -> float:
    """Return the PSNR in dB over all pictures together; pixel values lie in -1..1."""
    return 10 * math.log10(4 / (originals - decoded).pow(2).mean().item())


def _loss(
    wanted: Tensor, decoded: Tensor, latents: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss and its terms by name.

    The terms are the absolute error, the error of the edges (flat drawings are mostly edges), the squared error
    and the latents' mean square.
    """
    if weights is None:
        weights = torch.ones_like(wanted[:, :1])
    errors = decoded - wanted
    absolute = (weights * errors.abs()).mean()
    squared = (weights * errors.pow(2)).mean()
    down = (weights[:, :, 1:] * errors.diff(dim=2).abs()).mean()
    edges = down + (weights[..., 1:] * errors.diff(dim=3).abs()).mean()
    size = latents.pow(2).mean()
    figures = {"absolute": absolute, "edges": edges, "squared": squared, "latents": size}
    total = absolute + edges + squared + SIZE_PENALTY * size
    return total, {name: figure.detach() for name, figure in figures.items()}
