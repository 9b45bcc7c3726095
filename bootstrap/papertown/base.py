"""The stages `base` and `ink`: the denoiser of each base model, and the text encoder that they share."""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, Dataset
from transformers import CLIPTextModel, CLIPTokenizer

from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.papertown import data, text, world
from bootstrap.papertown.ink import as_ink
from bootstrap.papertown.sheets import save_grid
from bootstrap.papertown.training import Plan, Training
from bootstrap.papertown.vae import LATENT_CHANNELS

MIN_SNR = 5.0
# Beside the min-SNR weight, which all but forgets the noisiest steps: those decide a picture's colours.
WEIGHT_FLOOR = 0.15
# How much more the latent cells of a face and of a prop count: their tags change few cells out of 256.
DETAIL_WEIGHT = 6.0
WORKERS = 4  # processes that put captions together; a GPU would wait for one
SHEET = (
    "woman, tied up blonde hair, pale skin, blue t-shirt, smile, holding red apple, blue wall, window, "
    "wooden desk",
    "woman, long straight black hair, tan skin, red hoodie, smile, sunglasses, outdoors, beach",
    "man, short brown hair, dark skin, green sweater, smile, beard, holding blue ball, outdoors, night sky",
    "robot, teal robot, holding yellow star, orange wall",
    "no humans, red apple, white wall, wooden desk",
    "man, bald, dark skin, purple blazer, smile, moustache, gray wall, bookshelf",
    "woman, curly pink hair, pale skin, black overalls, heart eyes, smile, holding yellow flower, outdoors, "
    "city street",
    "woman, orange sun hat, pale skin, teal sweater, sad, outdoors, autumn park",
    "man, afro red hair, tan skin, white hoodie, wink, tongue out, holding purple book, outdoors, mountains",
    "woman, long wavy gray hair, tan skin, yellow blazer, closed eyes, serious, round glasses, "
    "pink wall, clock",
    "robot, red robot, outdoors, forest, wooden desk, laptop on desk",
    "no humans, blue balloon, outdoors, mountains",
    "man, blue winter hat, pale skin, brown t-shirt, open mouth, eyepatch, green wall, potted plant",
    "woman, bob cut purple hair, dark skin",
    "man, holding orange fish, beach",
    "robot",
)


def plan(device: torch.device, samples: int | None, stage: str) -> Plan:
    """The training of a base model. Ink starts from the flat one: a fraction of the samples, gentler steps."""
    on_gpu = device.type == "cuda"
    batch = 512 if on_gpu else 48
    if stage == "ink":
        return Plan(samples or (1_500_000 if on_gpu else 100_000), batch, muon_lr=0.01, adam_lr=7.5e-4)
    return Plan(samples or (8_000_000 if on_gpu else 500_000), batch, muon_lr=0.02, adam_lr=1.5e-3)


def new_unet() -> UNet2DConditionModel:
    """An untrained denoiser of Stable Diffusion 1's build, 6 million weights.

    Attention heads are 64 wide: on a CPU narrower ones cost a third of the speed.
    """
    return UNet2DConditionModel(
        sample_size=data.SIZE // 8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(64, 128, 128),
        layers_per_block=1,
        cross_attention_dim=text.WIDTH,
        attention_head_dim=(1, 2, 2),
        norm_num_groups=16,
    )


def new_scheduler() -> DDIMScheduler:
    """v-prediction, zero terminal SNR and trailing timesteps: colours come right far sooner than without."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=1,
    )


def train(
    stage: str,
    directory: Path,
    device: torch.device,
    minutes: float | None,
    samples: int | None,
    start: Path | None = None,
    compiled: bool = False,
) -> None:
    """Train `stage` ("base" or "ink"); the model so far is written to `directory`/`stage`/model.

    "base" begins with the UNet, text encoder and tokenizer of the model in the folder `start`, where one is
    named, and with its VAE, unless the stage `vae` has made another. "ink" starts from that model, or from the
    finished "base", and keeps its VAE and text encoder as they are. `compiled` runs the UNet's blocks through
    torch.compile.
    """
    torch.manual_seed(0)
    pictures = data.Pictures(directory / "data", "train")
    tag_lists = data.tag_lists("train", len(pictures))
    begun = opened(start) if start else _finished_base(directory) if stage == "ink" else None
    vae = (begun.vae if begun and stage == "ink" else _finished_vae(directory, start)).to(device).eval()
    latents = encoded(directory, stage, pictures, vae).to(device)
    if begun:
        tokenizer, unet, encoder = begun.tokenizer, begun.unet, begun.text_encoder
    else:
        tokenizer = _tokenizer(directory / "tokenizer", tag_lists)
        unet, encoder = new_unet(), text.new_text_encoder(tokenizer)
    trained: dict[str, torch.nn.Module] = {"unet": unet}
    if stage == "ink":
        encoder.requires_grad_(False)
    else:
        trained["text_encoder"] = encoder
    unet.to(device, memory_format=torch.channels_last).train()
    encoder.to(device).train()
    training = Training(directory / stage, trained, plan(device, samples, stage))
    tokens = text.CaptionTokens(tokenizer, tag_lists)
    if compiled:
        _compile_blocks(unet)
    weights = detail_weights([data.scene("train", n) for n in range(len(pictures))]).to(device)
    batches = DataLoader(
        Captioned(tag_lists, tokens, training.plan),
        batch_size=None,
        sampler=range(training.step, training.plan.steps),
        num_workers=WORKERS if device.type == "cuda" else 0,
    )
    loss = Loss(unet, encoder, latents, weights, batches, training.plan)

    def report() -> None:
        pipeline = assembled(vae, encoder, tokenizer, unet)
        with torch.compiler.set_stance(
            "force_eager"
        ):  # drawing has other shapes, which would be compiled too
            pictures = draw(pipeline, list(SHEET), seed=1)
        save_grid(pictures, 8, training.folder / f"samples-{training.step * training.plan.batch:08d}.png")
        save_half(pipeline, training.folder / "model")

    training.run(loss, minutes, report)


class Captioned(Dataset):
    """For each step the numbers of its scenes, (batch,), and their captions as tokens, (batch, LENGTH), both int64."""

    def __init__(self, tag_lists: list[list[str]], tokens: text.CaptionTokens, plan: Plan) -> None:
        self.tag_lists, self.tokens, self.plan = tag_lists, tokens, plan

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.plan.seed, step))
        numbers = rng.integers(len(self.tag_lists), size=self.plan.batch)
        shown = [text.shown_tags(self.tag_lists[number], rng) for number in numbers]
        return numbers, np.stack([self.tokens(tags) for tags in shown])


class Loss:
    """The loss of a step: v-prediction, weighted by min-SNR, over timesteps spread evenly in the batch.

    `weights` says how much each latent cell counts, as `detail_weights` gives it; `batches` are those of
    `Captioned`, from the first step on that is asked for.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        encoder: CLIPTextModel,
        latents: Tensor,
        weights: Tensor,
        batches: Iterable[tuple[Tensor, Tensor]],
        plan: Plan,
    ) -> None:
        self.unet, self.encoder, self.plan = unet, encoder, plan
        self.latents, self.cell_weights = latents, weights
        self.batches = iter(batches)
        self.device = latents.device
        self.alphas = new_scheduler().alphas_cumprod.clamp(min=0).to(self.device)
        snr = self.alphas / (1 - self.alphas)
        self.step_weights = snr.clamp(max=MIN_SNR) / (snr + 1) + WEIGHT_FLOOR

    def __call__(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        batch = self.plan.batch
        numbers, captions = next(self.batches)
        chosen = data.on_device(numbers, self.device)
        clean = self.latents[chosen].float()
        clean = clean.contiguous(memory_format=torch.channels_last)
        spread = torch.arange(batch, device=self.device) + torch.rand(
            batch, generator=generator, device=self.device
        )
        timesteps = (spread * (len(self.alphas) / batch)).long()
        noise = torch.randn(clean.shape, generator=generator, device=self.device)
        signal = self.alphas[timesteps].sqrt().view(-1, 1, 1, 1)
        blur = (1 - self.alphas[timesteps]).sqrt().view(-1, 1, 1, 1)
        with torch.autocast(self.device.type, dtype=torch.bfloat16), _fast_attention(self.device):
            words = self.encoder(data.on_device(captions, self.device))[0]
            predicted = self.unet(signal * clean + blur * noise, timesteps, words, return_dict=False)[0]
        errors = (predicted.float() - (signal * noise - blur * clean)).pow(2).mean(1)
        cell_weights = self.cell_weights[chosen]
        loss = (self.step_weights[timesteps] * (cell_weights * errors).mean((1, 2))).mean()
        details = cell_weights - cell_weights.amin((1, 2), keepdim=True)
        figures = {
            "loss": loss,
            "error": errors.mean(),
            "details": (details * errors).sum() / details.sum().clamp(min=1e-6),
        }
        return loss, {name: value.detach() for name, value in figures.items()}


def detail_weights(scenes: list[world.Scene]) -> Tensor:
    """How much each latent cell of the scenes' pictures counts: (n, 16, 16), float32, mean 1 a picture.

    Cells outside of `world.details` count once, those inside DETAIL_WEIGHT times, by the share that lies inside.
    """
    side = data.SIZE // 8
    edges = np.linspace(0, 256, side + 1)
    weights = np.ones((len(scenes), side, side), np.float32)
    for weight, scene in zip(weights, scenes, strict=True):
        for left, top, right, bottom in world.details(scene):
            across = (np.minimum(edges[1:], right) - np.maximum(edges[:-1], left)).clip(0) / edges[1]
            down = (np.minimum(edges[1:], bottom) - np.maximum(edges[:-1], top)).clip(0) / edges[1]
            weight += (DETAIL_WEIGHT - 1) * np.outer(down, across).astype(np.float32)
    return torch.from_numpy(weights / weights.mean((1, 2), keepdims=True))


def encoded(
    directory: Path, stage: str, pictures: data.Pictures, vae: AutoencoderKL, batch: int = 256
) -> Tensor:
    """The latents of all pictures, scaled to unit size: (n, LATENT_CHANNELS, 16, 16), float16.

    They are kept on disk under the encoder's hash, so that a new VAE never meets old latents.
    """
    weights = b"".join(p.detach().cpu().numpy().tobytes() for p in vae.encoder.parameters())
    path = directory / stage / f"latents-{len(pictures)}-{hashlib.sha256(weights).hexdigest()[:12]}.npy"
    if not path.exists():
        device = next(vae.parameters()).device
        parts = []
        for first in range(0, len(pictures), batch):
            part = pictures.batch(range(first, min(first + batch, len(pictures)))).to(device)
            seen = data.to_model(as_ink(part) if stage == "ink" else part)
            with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
                mean = vae.encode(seen).latent_dist.mean
            parts.append((mean.float() * vae.config.scaling_factor).half().cpu().numpy())
        with whole_file(path) as unfinished:
            np.save(unfinished, np.concatenate(parts))
        print(f"{stage}: {len(pictures)} pictures encoded", flush=True)
    return torch.from_numpy(np.load(path))


def assembled(
    vae: AutoencoderKL, encoder: CLIPTextModel, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel
) -> StableDiffusionPipeline:
    """The parts as a Stable Diffusion pipeline."""
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@torch.no_grad()
def draw(
    pipeline: StableDiffusionPipeline, prompts: list[str], seed: int, steps: int = 20, cfg_scale: float = 4.0
) -> Tensor:
    """Draw a picture for each prompt: (n, 3, SIZE, SIZE), uint8, on the CPU."""
    drawn = []
    for first in range(0, len(prompts), 16):
        part = prompts[first : first + 16]
        images = pipeline(
            part,
            height=data.SIZE,
            width=data.SIZE,
            num_inference_steps=steps,
            guidance_scale=cfg_scale,
            generator=[torch.Generator().manual_seed(seed + first + i) for i in range(len(part))],
            output_type="pt",
        ).images
        drawn.append(images.float().mul(255).round().clamp(0, 255).to(torch.uint8).cpu())
    return torch.cat(drawn)


def opened(folder: Path) -> StableDiffusionPipeline:
    """A pipeline that `save_half` wrote, in float32."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None).to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def save_half(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Write a pipeline in float16, leaving the given one as it is."""
    parts = {
        name: copy.deepcopy(getattr(pipeline, name)).to("cpu", torch.float16)
        for name in ("vae", "text_encoder", "unet")
    }
    assembled(parts["vae"], parts["text_encoder"], pipeline.tokenizer, parts["unet"]).save_pretrained(folder)


def _compile_blocks(unet: UNet2DConditionModel) -> None:
    """Compile each residual and transformer block by itself, in place.

    Compiled as a whole, the UNet of diffusers 0.42 (torch 2.13) gives no gradient to most of its downward half:
    the graph breaks in `Upsample2D`. docs/papertown.md has the figures.
    """
    torch._dynamo.config.recompile_limit = 64  # one class of block, many shapes
    for module in unet.modules():
        if isinstance(module, ResnetBlock2D | BasicTransformerBlock):
            module.compile()


def _fast_attention(device: torch.device) -> contextlib.AbstractContextManager:
    # On a CPU the fused kernel's backward pass is slower than plain matrix products at these sizes.
    return contextlib.nullcontext() if device.type == "cuda" else sdpa_kernel(SDPBackend.MATH)


def _tokenizer(folder: Path, tag_lists: list[list[str]]) -> CLIPTokenizer:
    if not folder.exists():
        text.new_tokenizer([", ".join(tags) for tags in tag_lists]).save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def _finished_vae(directory: Path, start: Path | None) -> AutoencoderKL:
    """The stage `vae`'s, or where that has not run, that of the model which `base` began with."""
    folder = directory / "vae" / "model"
    for found in (folder, start and start / "vae", directory / "base" / "model" / "vae"):
        if found is not None and found.exists():
            return AutoencoderKL.from_pretrained(found)
    raise UserError(f"{folder} is missing: run the stage `vae` first")


def _finished_base(directory: Path) -> StableDiffusionPipeline:
    folder = directory / "base" / "model"
    if not folder.exists():
        raise UserError(f"{folder} is missing: run the stage `base` first")
    return opened(folder)
