"""The stage `vae` of Paper Town Two: the first world's autoencoder, trained on with this world's pictures.

Without that it shows them at 24 dB: hands, feet and robots are smears.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from bootstrap.files import whole_folder
from bootstrap.papertown.base import detail_weights
from bootstrap.papertown.data import Pictures, on_device, to_model, to_pixels
from bootstrap.papertown.sheets import save_grid
from bootstrap.papertown.training import Hyperparameters, Training
from bootstrap.papertown.two import data, rendering
from bootstrap.papertown.vae import autoencoder_loss, peak_signal_to_noise, reconstruct, set_spread

FIRST = Path(__file__).parents[1] / "models" / "papertown"  # the model whose VAE the training starts from
HELD_OUT = 128
DETAIL_WEIGHT = 3.0  # loss weight of faces and props: in a whole figure an eye is three pixels wide


def vae_hyperparameters(device: torch.device, samples: int | None) -> Hyperparameters:
    """Return the VAE's hyperparameters; `samples` replaces the default number of samples."""
    if device.type == "cuda":
        return Hyperparameters(samples or 600_000, batch=64, muon_lr=0.01, adam_lr=7.5e-4)
    return Hyperparameters(samples or 30_000, batch=8, muon_lr=0.01, adam_lr=7.5e-4)


def train_vae(
    directory: Path, device: torch.device, minutes: float | None, samples: int | None = None
) -> None:
    """Train the VAE on pictures with and without accents; each report writes it to `directory`/vae/model."""
    torch.manual_seed(0)
    vae = AutoencoderKL.from_pretrained(FIRST, subfolder="vae", torch_dtype=torch.float32)
    vae.register_to_config(shift_factor=0.0)  # Z-Image's pipeline reads it
    set_spread(vae)
    vae.to(device, memory_format=torch.channels_last).train()
    training = Training(directory / "vae", {"vae": vae}, vae_hyperparameters(device, samples))
    counts = {split: len(Pictures(directory / "data", split)) for split in ("train", "accents")}
    pictures = Pictures(directory / "data", *counts)
    scenes = [data.scene(split, number) for split, count in counts.items() for number in range(count)]
    held_out = {
        "without accents": data.held_out(HELD_OUT),
        "with accents": data.held_out(HELD_OUT, accents=True),
    }

    def loss(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng((training.hyperparameters.seed, step))
        numbers = rng.integers(len(pictures), size=training.hyperparameters.batch)
        weights = detail_weights([rendering.details(scenes[number]) for number in numbers], DETAIL_WEIGHT)
        pixel_weights = weights.to(device).repeat_interleave(8, 1).repeat_interleave(8, 2).unsqueeze(1)
        wanted = to_model(on_device(pictures.batch(numbers), device))
        return autoencoder_loss(vae, wanted, generator, pixel_weights)

    def report() -> None:
        rows = []
        for name, wanted in held_out.items():
            decoded, latents = reconstruct(vae, wanted)
            psnr = peak_signal_to_noise(to_model(wanted), decoded)
            print(f"vae: {psnr:.2f} dB on held-out scenes {name}", flush=True)
            rows += [wanted[:10], to_pixels(decoded[:10])]
            if (
                name == "without accents"
            ):  # the base model is trained on latents with a standard deviation of 1
                vae.register_to_config(scaling_factor=float(1 / latents.std()))
        save_grid(torch.cat(rows), 10, training.folder / "held-out.png")
        with whole_folder(training.folder / "model", replaces=True) as unfinished:
            vae.save_pretrained(unfinished)

    training.run(loss, minutes, report)
