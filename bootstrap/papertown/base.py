"""The stages `base` and `ink`: train the denoiser of each base model, and the text encoder that both share."""

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
from bootstrap.files import whole_file, whole_folder
from bootstrap.papertown import data, text, world
from bootstrap.papertown.ink import as_ink
from bootstrap.papertown.sheets import save_grid
from bootstrap.papertown.training import Hyperparameters, Training
from bootstrap.papertown.vae import LATENT_CHANNELS

MIN_SNR = 5.0
# Added to the min-SNR weight, which is nearly 0 at the noisiest timesteps: those decide a picture's colours.
WEIGHT_FLOOR = 0.15
# Loss weight of the latent cells of a face and of a prop: their tags change few of the 256 cells.
DETAIL_WEIGHT = 6.0
WORKERS = 4  # processes that assemble captions; with a single one the GPU would have to wait
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


def base_hyperparameters(device: torch.device, samples: int | None, stage: str) -> Hyperparameters:
    """Return the hyperparameters of a base model.

    The ink model starts from the flat one, so it needs fewer samples and lower learning rates. `samples`
    replaces the default number of samples.
    """
    on_gpu = device.type == "cuda"
    batch = 512 if on_gpu else 48
    if stage == "ink":
        samples = samples or (1_500_000 if on_gpu else 100_000)
        return Hyperparameters(samples, batch, muon_lr=0.01, adam_lr=7.5e-4)
    samples = samples or (8_000_000 if on_gpu else 500_000)
    return Hyperparameters(samples, batch, muon_lr=0.02, adam_lr=1.5e-3)


def new_unet() -> UNet2DConditionModel:
    """Return an untrained denoiser with Stable Diffusion 1's architecture and 6 million weights.

    Attention heads are 64 channels wide: narrower ones cost a third of the speed on a CPU.
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
    """Return a scheduler with v-prediction, zero terminal SNR and trailing timesteps.

    With these three the model learns the right colours far sooner than without them.
    """
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


def train_base_model(
    stage: str,
    directory: Path,
    device: torch.device,
    minutes: float | None,
    samples: int | None,
    start: Path | None = None,
    compiled: bool = False,
) -> None:
    """Train `stage` ("base" or "ink"); each report writes the current model to `directory`/`stage`/model.

    If the folder `start` is given, "base" starts from that model's UNet, text encoder and tokenizer, and uses its
    VAE unless the stage `vae` has made another. "ink" starts from the model in `start`, or else from the finished
    "base", and leaves its VAE and text encoder unchanged. `compiled` compiles the UNet's blocks with
    torch.compile.

    Raises:
        UserError: a stage that this one depends on has not run.
    """
    torch.manual_seed(0)
    pictures = data.Pictures(directory / "data", "train")
    tag_lists = data.tag_lists("train", len(pictures))
    initial = load_pipeline(start) if start else _finished_base(directory) if stage == "ink" else None
    vae = (initial.vae if initial and stage == "ink" else _finished_vae(directory, start)).to(device).eval()
    latents = cached_latents(directory, stage, pictures, vae).to(device)
    if initial:
        tokenizer, unet, encoder = initial.tokenizer, initial.unet, initial.text_encoder
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
    training = Training(directory / stage, trained, base_hyperparameters(device, samples, stage))
    tokens = text.CaptionTokens(tokenizer, tag_lists)
    if compiled:
        _compile_blocks(unet)
    weights = detail_weights([world.details(data.scene("train", n)) for n in range(len(pictures))]).to(device)
    batches = DataLoader(
        CaptionBatches(tag_lists, tokens, training.hyperparameters),
        batch_size=None,
        sampler=range(training.step, training.hyperparameters.steps),
        num_workers=WORKERS if device.type == "cuda" else 0,
    )
    loss = Loss(unet, encoder, latents, weights, batches, training.hyperparameters)

    def report() -> None:
        pipeline = assembled(vae, encoder, tokenizer, unet)
        # Drawing has other shapes than training; they would be compiled too.
        with torch.compiler.set_stance("force_eager"):
            pictures = draw_prompts(pipeline, list(SHEET), seed=1)
        samples_seen = training.step * training.hyperparameters.batch
        save_grid(pictures, 8, training.folder / f"samples-{samples_seen:08d}.png")
        save_half(pipeline, training.folder / "model")

    training.run(loss, minutes, report)


class CaptionBatches(Dataset):
    """The batch of each step: the scenes' numbers, (batch,), and their caption tokens, (batch, LENGTH), both int64."""

    def __init__(
        self, tag_lists: list[list[str]], tokens: text.CaptionTokens, hyperparameters: Hyperparameters
    ) -> None:
        self.tag_lists, self.tokens, self.hyperparameters = tag_lists, tokens, hyperparameters

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.hyperparameters.seed, step))
        numbers = rng.integers(len(self.tag_lists), size=self.hyperparameters.batch)
        captions = [text.augmented_tags(self.tag_lists[number], rng) for number in numbers]
        return numbers, np.stack([self.tokens(tags) for tags in captions])


class Loss:
    """The loss of a step: v-prediction, weighted by min-SNR, with timesteps spread evenly over the batch.

    Args:
        weights: the loss weight of each latent cell, from `detail_weights`.
        batches: the batches of `CaptionBatches`, starting at the first step that will be called.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        encoder: CLIPTextModel,
        latents: Tensor,
        weights: Tensor,
        batches: Iterable[tuple[Tensor, Tensor]],
        hyperparameters: Hyperparameters,
    ) -> None:
        self.unet, self.encoder, self.hyperparameters = unet, encoder, hyperparameters
        self.latents, self.cell_weights = latents, weights
        self.batches = iter(batches)
        self.device = latents.device
        self.alphas = new_scheduler().alphas_cumprod.clamp(min=0).to(self.device)
        snr = self.alphas / (1 - self.alphas)
        self.step_weights = snr.clamp(max=MIN_SNR) / (snr + 1) + WEIGHT_FLOOR

    def __call__(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        batch = self.hyperparameters.batch
        numbers, captions = next(self.batches)
        chosen = data.on_device(numbers, self.device)
        clean = self.latents[chosen].float()
        clean = clean.contiguous(memory_format=torch.channels_last)
        spread = torch.arange(batch, device=self.device) + torch.rand(
            batch, generator=generator, device=self.device
        )
        timesteps = (spread * (len(self.alphas) / batch)).long()
        noise = torch.randn(clean.shape, generator=generator, device=self.device)
        signal_rate = self.alphas[timesteps].sqrt().view(-1, 1, 1, 1)
        noise_rate = (1 - self.alphas[timesteps]).sqrt().view(-1, 1, 1, 1)
        with torch.autocast(self.device.type, dtype=torch.bfloat16), _fast_attention(self.device):
            encoded_captions = self.encoder(data.on_device(captions, self.device))[0]
            noisy = signal_rate * clean + noise_rate * noise
            predicted = self.unet(noisy, timesteps, encoded_captions, return_dict=False)[0]
        errors = (predicted.float() - (signal_rate * noise - noise_rate * clean)).pow(2).mean(1)
        cell_weights = self.cell_weights[chosen]
        loss = (self.step_weights[timesteps] * (cell_weights * errors).mean((1, 2))).mean()
        details = cell_weights - cell_weights.amin((1, 2), keepdim=True)
        figures = {
            "loss": loss,
            "error": errors.mean(),
            "details": (details * errors).sum() / details.sum().clamp(min=1e-6),
        }
        return loss, {name: value.detach() for name, value in figures.items()}


def detail_weights(
    boxes_of_scenes: list[list[tuple[float, float, float, float]]], detail_weight: float = DETAIL_WEIGHT
) -> Tensor:
    """Return the loss weight of each latent cell of some pictures: (n, 16, 16), float32, mean 1 per picture.

    Before scaling to mean 1, cells outside a picture's boxes of details weigh 1 and cells inside `detail_weight`;
    a cell that a box covers in part is weighted by the share covered. Boxes are as in `world.details`.
    """
    side = data.SIZE // 8
    edges = np.linspace(0, 256, side + 1)
    weights = np.ones((len(boxes_of_scenes), side, side), np.float32)
    for weight, boxes in zip(weights, boxes_of_scenes, strict=True):
        for left, top, right, bottom in boxes:
            across = (np.minimum(edges[1:], right) - np.maximum(edges[:-1], left)).clip(0) / edges[1]
            down = (np.minimum(edges[1:], bottom) - np.maximum(edges[:-1], top)).clip(0) / edges[1]
            weight += (detail_weight - 1) * np.outer(down, across).astype(np.float32)
    return torch.from_numpy(weights / weights.mean((1, 2), keepdims=True))


def cached_latents(
    directory: Path, stage: str, pictures: data.Pictures, vae: AutoencoderKL, batch: int = 256
) -> Tensor:
    """Return the latents of all pictures, scaled to unit variance: (n, LATENT_CHANNELS, 16, 16), float16.

    They are cached on disk under the hash of the VAE's encoder, so that another VAE never uses them.
    """
    weights = b"".join(p.detach().cpu().numpy().tobytes() for p in vae.encoder.parameters())
    path = directory / stage / f"latents-{len(pictures)}-{hashlib.sha256(weights).hexdigest()[:12]}.npy"
    if not path.exists():
        device = next(vae.parameters()).device
        parts = []
        for first in range(0, len(pictures), batch):
            part = pictures.batch(range(first, min(first + batch, len(pictures)))).to(device)
            model_input = data.to_model(as_ink(part) if stage == "ink" else part)
            with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
                mean = vae.encode(model_input).latent_dist.mean
            parts.append((mean.float() * vae.config.scaling_factor).half().cpu().numpy())
        with whole_file(path) as unfinished:
            np.save(unfinished, np.concatenate(parts))
        print(f"{stage}: {len(pictures)} pictures encoded", flush=True)
    return torch.from_numpy(np.load(path))


def assembled(
    vae: AutoencoderKL, encoder: CLIPTextModel, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel
) -> StableDiffusionPipeline:
    """Return a Stable Diffusion pipeline made of these parts."""
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
def draw_prompts(
    pipeline: StableDiffusionPipeline, prompts: list[str], seed: int, steps: int = 20, cfg_scale: float = 4.0
) -> Tensor:
    """Draw a picture for each prompt, 16 at a time: (n, 3, SIZE, SIZE), uint8, on the CPU.

    The noise of picture i is drawn with the seed `seed` + i.
    """
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


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    """Load a pipeline that `save_half` wrote, in float32."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None).to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def save_half(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Write a float16 copy of a pipeline; the pipeline itself is not changed."""
    parts = {
        name: copy.deepcopy(getattr(pipeline, name)).to("cpu", torch.float16)
        for name in ("vae", "text_encoder", "unet")
    }
    half = assembled(parts["vae"], parts["text_encoder"], pipeline.tokenizer, parts["unet"])
    with whole_folder(folder, replaces=True) as unfinished:
        half.save_pretrained(unfinished)


def _compile_blocks(unet: UNet2DConditionModel) -> None:
    """Compile each residual block and each transformer block separately, in place.

    If the UNet of diffusers 0.42 is compiled as a whole (torch 2.13), most of its downward half gets no gradient:
    the graph breaks in `Upsample2D`. docs/papertown.md has the figures.
    """
    torch._dynamo.config.recompile_limit = 64  # each class of block is compiled for many shapes
    for module in unet.modules():
        if isinstance(module, ResnetBlock2D | BasicTransformerBlock):
            module.compile()


def _fast_attention(device: torch.device) -> contextlib.AbstractContextManager:
    # On a CPU the fused kernel's backward pass is slower than plain matrix products at these sizes.
    return contextlib.nullcontext() if device.type == "cuda" else sdpa_kernel(SDPBackend.MATH)


def _tokenizer(folder: Path, tag_lists: list[list[str]]) -> CLIPTokenizer:
    if not folder.exists():
        tokenizer = text.new_tokenizer([", ".join(tags) for tags in tag_lists])
        with whole_folder(folder) as unfinished:
            tokenizer.save_pretrained(unfinished)
    return CLIPTokenizer.from_pretrained(folder)


def _finished_vae(directory: Path, start: Path | None) -> AutoencoderKL:
    """Load the VAE of the stage `vae`, or else of the model that `base` starts from, or else of `base` itself."""
    folder = directory / "vae" / "model"
    for candidate in (folder, start and start / "vae", directory / "base" / "model" / "vae"):
        if candidate is not None and candidate.exists():
            return AutoencoderKL.from_pretrained(candidate)
    raise UserError(f"{folder} is missing: run the stage `vae` first")


def _finished_base(directory: Path) -> StableDiffusionPipeline:
    folder = directory / "base" / "model"
    if not folder.exists():
        raise UserError(f"{folder} is missing: run the stage `base` first")
    return load_pipeline(folder)
