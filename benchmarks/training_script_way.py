"""A LoRA training as in diffusers' public example scripts, which `benchmarks/training.py` compares ours with.

It uses the same public pieces, in the same order, as examples/dreambooth/train_dreambooth_lora.py with
--train_text_encoder: `add_adapter` on UNet and text encoder, a Dataset that opens, resizes, crops, normalizes
and tokenizes at each access, Accelerate's `prepare`, and in each step VAE, text encoder and UNet. The script
trains fewer modules than kohya does; here target_modules is kohya's set.
"""

from __future__ import annotations

import atexit
import gc
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.optimization import get_scheduler
from diffusers.training_utils import cast_training_params
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image, ImageOps
from transformers import CLIPTextModel, CLIPTokenizer

from bootstrap.models.families.sd_model import text_modules, unet_modules
from bootstrap.models.family import BaseModelSpec
from bootstrap.project.settings import TrainingSection

_PRECISIONS = {torch.float32: "no", torch.bfloat16: "bf16", torch.float16: "fp16"}  # Accelerate's names


class OnePicture(torch.utils.data.Dataset):
    """The instance picture, opened and tokenized at each access."""

    def __init__(
        self, path: Path, caption: str, tokenizer: CLIPTokenizer, resolution: int, length: int
    ) -> None:
        self.path, self.caption, self.tokenizer = path, caption, tokenizer
        self.resolution, self.length = resolution, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        picture = ImageOps.exif_transpose(Image.open(self.path)).convert("RGB")
        picture = ImageOps.fit(picture, (self.resolution, self.resolution), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1
        tokens = self.tokenizer(
            self.caption,
            truncation=True,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids[0]
        return {"pixel_values": pixels, "input_ids": tokens}


def train(
    spec: BaseModelSpec,
    settings: TrainingSection,
    original: Path,
    caption: str,
    resolution: int,
    folder: Path,
    weight_dtype: torch.dtype,
) -> tuple[float, list[tuple[float, float]]]:
    """Train and save a LoRA.

    Args:
        weight_dtype: the dtype of the script's `--mixed_precision`; float32 for `no`.

    Returns:
        The seconds from the model in memory to the LoRA file, and the wall and CPU seconds of each step.
    """
    # Undo what importing this project's packages, for its settings, has set: the example scripts set none of it.
    torch.set_flush_denormal(False)
    gc.set_threshold(700, 10, 10)
    atexit.unregister(gc.freeze)

    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=_PRECISIONS[weight_dtype])
    # As in the script, the frozen models have dtype `weight_dtype` and run inside Accelerate's autocast.
    torch.manual_seed(settings.seed)
    tokenizer = CLIPTokenizer.from_pretrained(spec.source, subfolder="tokenizer")
    noise_scheduler = DDPMScheduler.from_pretrained(spec.source, subfolder="scheduler")
    parts = {"text_encoder": CLIPTextModel, "vae": AutoencoderKL, "unet": UNet2DConditionModel}
    text_encoder, vae, unet = (
        kind.from_pretrained(spec.source, subfolder=name, torch_dtype=weight_dtype)
        for name, kind in parts.items()
    )
    for model in (text_encoder, vae, unet):
        model.requires_grad_(False)
        model.to(accelerator.device)

    began = time.perf_counter()
    rank, alpha = settings.network_dim, settings.network_alpha
    for model, targets in ((unet, unet_modules(unet, False)), (text_encoder, text_modules(text_encoder))):
        config = LoraConfig(r=rank, lora_alpha=alpha, init_lora_weights="gaussian", target_modules=targets)
        model.add_adapter(config)
        cast_training_params(model, dtype=torch.float32)
    groups = [
        {"params": [p for p in model.parameters() if p.requires_grad], "lr": lr}
        for model, lr in ((unet, settings.unet_lr), (text_encoder, settings.text_encoder_lr))
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-2)
    batch_size = settings.train_batch_size
    steps = settings.max_train_steps or settings.repeats * settings.epochs // batch_size
    dataset = OnePicture(original, caption, tokenizer, resolution, steps * batch_size)
    loader = torch.utils.data.DataLoader(dataset, batch_size=batch_size, shuffle=True, num_workers=0)
    lr_scheduler = get_scheduler("constant", optimizer=optimizer)
    unet, text_encoder, optimizer, loader, lr_scheduler = accelerator.prepare(
        unet, text_encoder, optimizer, loader, lr_scheduler
    )
    unet.train()
    text_encoder.train()
    step_times = []
    last = time.perf_counter(), time.process_time()
    for batch in loader:
        with accelerator.accumulate(unet):
            latents = vae.encode(batch["pixel_values"].to(dtype=weight_dtype)).latent_dist.sample()
            latents = latents * vae.config.scaling_factor
            noise = torch.randn_like(latents)
            timesteps = torch.randint(
                0, noise_scheduler.config.num_train_timesteps, (latents.shape[0],), device=latents.device
            )
            noisy = noise_scheduler.add_noise(latents, noise, timesteps)
            states = text_encoder(batch["input_ids"], return_dict=False)[0]
            predicted = unet(noisy, timesteps, states, return_dict=False)[0]
            if noise_scheduler.config.prediction_type == "epsilon":
                target = noise
            else:
                target = noise_scheduler.get_velocity(latents, noise, timesteps)
            loss = F.mse_loss(predicted.float(), target.float(), reduction="mean")
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                trained = [p for group in groups for p in group["params"]]
                accelerator.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            lr_scheduler.step()
            optimizer.zero_grad()
        loss.detach().item()  # waits for a GPU
        now = time.perf_counter(), time.process_time()
        step_times.append((now[0] - last[0], now[1] - last[1]))
        last = now
    StableDiffusionPipeline.save_lora_weights(
        save_directory=folder,
        unet_lora_layers=convert_state_dict_to_diffusers(
            get_peft_model_state_dict(accelerator.unwrap_model(unet))
        ),
        text_encoder_lora_layers=convert_state_dict_to_diffusers(
            get_peft_model_state_dict(accelerator.unwrap_model(text_encoder))
        ),
    )
    return time.perf_counter() - began, step_times
