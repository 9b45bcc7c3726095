"""The stage `base` of Paper Town Two: train the flow-matching transformer and its text encoder, together."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, ZImagePipeline, ZImageTransformer2DModel
from diffusers.models.transformers.transformer_z_image import ZImageTransformerBlock
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import AutoTokenizer, Qwen2Tokenizer, Qwen3Model

from bootstrap.errors import UserError
from bootstrap.files import whole_folder
from bootstrap.papertown.base import cached_latents, detail_weights
from bootstrap.papertown.data import SIZE, Pictures, on_device
from bootstrap.papertown.sheets import save_grid
from bootstrap.papertown.text import augmented_tags
from bootstrap.papertown.training import Hyperparameters, Training
from bootstrap.papertown.two import captions, data, networks, rendering
from bootstrap.papertown.two.attention import use_plain_attention

DETAIL_WEIGHT = 4.0  # loss weight of the latent cells of a face and of a prop
WEIGHT_DECAY = 0.1  # of Muon's matrices
UNIFORM_SHARE = 0.25  # of the noise levels; the others are logit-normal
SHORT_SHARE = 0.6  # of the captions of a batch that fill one block; of all augmented captions, 59 % do
TOKENIZER_SCENES = 5000
BLOCK = 32  # Z-Image pads captions to multiples of this many tokens
DRAWN_LENGTH = 128  # tokens of the longest prompt that `draw_prompts` takes
SHEET = (
    "woman, full body, from front, waving, tied up blonde hair, pale skin, blue t-shirt, red skirt, white shoes, "
    "smile, pink wall, window",
    "man, full body, from side, walking, short brown hair, dark skin, green sweater, gray trousers, red shoes, "
    "open mouth, holding blue ball, outdoors, city street",
    "robot, full body, from front, arms up, teal robot, outdoors, forest",
    "woman, portrait, from front, long wavy pink hair, tan skin, red hoodie, happy eyes, smile, outdoors, beach",
    "man, upper body, from behind, afro black hair, dark skin, yellow hoodie, outdoors, mountains",
    "woman, upper body, from front, bob cut black hair, pale skin, purple blazer, serious, round glasses, "
    "holding red apple, teal wall, wooden desk",
    "no humans, blue balloon, orange wall, clock",
    "man, portrait, from side, bald, tan skin, white t-shirt, sad, green wall, bookshelf",
    "woman, full body, from behind, sitting, long straight red hair, pale skin, green sweater, blue trousers, "
    "orange shoes, outdoors, autumn park",
    "robot, upper body, from side, red robot, holding yellow star, white wall",
    "man, upper body, from front, arms up, red winter hat, brown hair, pale skin, orange overalls, tongue out, beard, "
    "outdoors, night sky",
    "woman, portrait, from behind, curly purple hair, dark skin, black t-shirt, yellow wall, picture frame",
    "woman, full body, sitting",
    "man, sunglasses, outdoors, beach",
    "robot, walking",
    "no humans, outdoors, mountains, wooden desk, laptop on desk",
)


def base_hyperparameters(device: torch.device, samples: int | None) -> Hyperparameters:
    """Return the base model's hyperparameters; `samples` replaces the default number of samples."""
    if device.type == "cuda":
        return Hyperparameters(samples or 12_000_000, batch=512, muon_lr=0.02, adam_lr=1.5e-3)
    return Hyperparameters(samples or 2_000_000, batch=64, muon_lr=0.02, adam_lr=1.5e-3)


def train_base_model(
    directory: Path,
    device: torch.device,
    minutes: float | None,
    samples: int | None = None,
    compiled: bool = False,
) -> None:
    """Train the base model; each report writes the current model to `directory`/base/model.

    `compiled` compiles the transformer's blocks with torch.compile.

    Raises:
        UserError: a stage that this one depends on has not run.
    """
    torch.manual_seed(0)
    pictures = Pictures(directory / "data", "train")
    scenes = [data.scene("train", number) for number in range(len(pictures))]
    tag_lists = data.tag_lists("train", len(pictures))
    vae = finished_vae(directory).to(device).eval()
    latents = cached_latents(directory, "base", pictures, vae).to(device)
    tokenizer = made_tokenizer(directory / "tokenizer")
    transformer, encoder = networks.new_transformer(), networks.new_text_encoder(tokenizer)
    transformer.to(device).train()
    encoder.to(device).train()
    if device.type == "cpu":
        use_plain_attention(transformer)
    if compiled:
        _compile_blocks(transformer)
    hyperparameters = base_hyperparameters(device, samples)
    training = Training(
        directory / "base",
        {"transformer": transformer, "text_encoder": encoder},
        hyperparameters,
        weight_decay=WEIGHT_DECAY,
    )
    batches = DataLoader(
        CaptionBatches(tag_lists, captions.CaptionTokens(tokenizer, tag_lists), hyperparameters),
        batch_size=None,
        sampler=range(training.step, hyperparameters.steps),
        num_workers=4 if device.type == "cuda" else 0,
    )
    weights = detail_weights([rendering.details(scene) for scene in scenes], DETAIL_WEIGHT).to(device)
    loss = Loss(transformer, encoder, latents, weights, batches, hyperparameters.batch)

    def report() -> None:
        pipeline = assembled(vae, encoder, tokenizer, transformer)
        # Drawing has other shapes than training; they would be compiled too.
        with torch.compiler.set_stance("force_eager"):
            drawn = draw_prompts(pipeline, list(SHEET), seed=1)
        samples_seen = training.step * hyperparameters.batch
        save_grid(drawn, 8, training.folder / f"samples-{samples_seen:08d}.png")
        save_half(pipeline, training.folder / "model")

    training.run(loss, minutes, report, report_minutes=30)


class CaptionBatches(Dataset):
    """The batch of each step: scenes' numbers (batch,), caption tokens (batch, LENGTH) and their counts (batch,).

    The first rows' captions fill one block of tokens, the others' two: with always as many of each, shapes are fixed.
    """

    def __init__(
        self, tag_lists: list[list[str]], tokens: captions.CaptionTokens, hyperparameters: Hyperparameters
    ) -> None:
        self.tag_lists, self.tokens, self.hyperparameters = tag_lists, tokens, hyperparameters

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.hyperparameters.seed, step))
        short = round(SHORT_SHARE * self.hyperparameters.batch)
        wanted = {True: short, False: self.hyperparameters.batch - short}
        rows: dict[bool, list[tuple[int, np.ndarray, int]]] = {True: [], False: []}
        while any(len(rows[kind]) < count for kind, count in wanted.items()):
            number = int(rng.integers(len(self.tag_lists)))
            ids, count = self.tokens(augmented_tags(self.tag_lists[number], rng))
            if len(rows[count <= BLOCK]) < wanted[count <= BLOCK]:
                rows[count <= BLOCK].append((number, ids, count))
        numbers, tokens, counts = zip(*rows[True], *rows[False], strict=True)
        return np.array(numbers), np.stack(tokens), np.array(counts)


class Loss:
    """The loss of a step: the squared error of the velocity, with noise levels spread evenly over the batch.

    As in Z-Image, noisy latents are (1 - s) latents + s noise, and the transformer is given 1 - s and predicts
    latents - noise.

    Args:
        weights: the loss weight of each latent cell, from `detail_weights`.
        batches: the batches of `CaptionBatches`, starting at the first step that will be called.
    """

    def __init__(
        self,
        transformer: ZImageTransformer2DModel,
        encoder: Qwen3Model,
        latents: Tensor,
        weights: Tensor,
        batches: Iterable[tuple[Tensor, Tensor, Tensor]],
        batch: int,
    ) -> None:
        self.transformer, self.encoder, self.latents, self.cell_weights = (
            transformer,
            encoder,
            latents,
            weights,
        )
        self.batches, self.batch = iter(batches), batch
        self.device = latents.device

    def __call__(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        numbers, tokens, counts = next(self.batches)
        chosen = on_device(numbers, self.device)
        clean = self.latents[chosen].float()
        levels = noise_levels(self.batch, generator, self.device)
        noise = torch.randn(clean.shape, generator=generator, device=self.device)
        share = levels.view(-1, 1, 1, 1)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            states = encoded(self.encoder, on_device(tokens, self.device))
            predicted = predict(
                self.transformer, (1 - share) * clean + share * noise, levels, states, counts.tolist()
            )
        errors = (predicted - (clean - noise)).pow(2).mean(1)
        cell_weights = self.cell_weights[chosen]
        loss = (cell_weights * errors).mean()
        details = cell_weights - cell_weights.amin((1, 2), keepdim=True)
        figures = {
            "loss": loss,
            "error": errors.mean(),
            "details": (details * errors).sum() / details.sum().clamp(min=1e-6),
        }
        return loss, {name: value.detach() for name, value in figures.items()}


def noise_levels(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Return the noise levels of a batch, 0 (picture) to 1 (noise): (count,), spread evenly, in random order.

    They are logit-normal, as Stable Diffusion 3's were found best, but for a share that is uniform: the first steps of
    a drawing, near 1, decide its colours, and a logit-normal distribution hardly ever trains them.
    """
    order = torch.randperm(count, generator=generator, device=device)
    shares = (order + torch.rand(count, generator=generator, device=device)) / count
    normal = torch.special.ndtri(shares.clamp(1e-5, 1 - 1e-5))
    is_uniform = torch.arange(count, device=device) < UNIFORM_SHARE * count
    return torch.where(is_uniform, shares, torch.sigmoid(normal))


def encoded(encoder: Qwen3Model, tokens: Tensor) -> Tensor:
    """Return the caption states that the transformer reads: (rows, LENGTH, TEXT_WIDTH)."""
    return encoder(input_ids=tokens, output_hidden_states=True).hidden_states[-2]


def predict(
    transformer: ZImageTransformer2DModel, noisy: Tensor, levels: Tensor, states: Tensor, counts: list[int]
) -> Tensor:
    """Return the predicted velocity toward the picture, float32, in the shape of `noisy`.

    Rows whose captions fill as many blocks of tokens run together, as then nothing has to be masked.
    """
    rows_by_blocks: dict[int, list[int]] = {}
    for row, count in enumerate(counts):
        rows_by_blocks.setdefault(-(-count // BLOCK), []).append(row)
    predicted = torch.empty_like(noisy, dtype=torch.float32)
    for rows in rows_by_blocks.values():
        found = transformer(
            [noisy[row].unsqueeze(1) for row in rows],
            1 - levels[rows],
            [states[row, : counts[row]] for row in rows],
            return_dict=False,
        )[0]
        predicted[rows] = torch.stack(found).squeeze(2).float()
    return predicted


def assembled(
    vae: AutoencoderKL, encoder: Qwen3Model, tokenizer: Qwen2Tokenizer, transformer: ZImageTransformer2DModel
) -> ZImagePipeline:
    """Return a Z-Image pipeline made of these parts."""
    pipeline = ZImagePipeline(
        scheduler=networks.new_scheduler(),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@torch.no_grad()
def draw_prompts(
    pipeline: ZImagePipeline, prompts: list[str], seed: int, steps: int = 20, cfg_scale: float = 4.0
) -> Tensor:
    """Draw a picture for each prompt, 16 at a time: (n, 3, SIZE, SIZE), uint8, on the CPU.

    The noise of picture i is drawn with the seed `seed` + i. A CFG scale of 1 draws without guidance; Z-Image's
    pipeline counts from 0.
    """
    drawn = []
    for first in range(0, len(prompts), 16):
        part = list(prompts[first : first + 16])
        images = pipeline(
            part,
            height=SIZE,
            width=SIZE,
            num_inference_steps=steps,
            guidance_scale=cfg_scale - 1,
            generator=[torch.Generator().manual_seed(seed + first + i) for i in range(len(part))],
            max_sequence_length=DRAWN_LENGTH,
            output_type="pt",
        ).images
        drawn.append(images.float().mul(255).round().clamp(0, 255).to(torch.uint8).cpu())
    return torch.cat(drawn)


def load_pipeline(folder: Path) -> ZImagePipeline:
    """Load a pipeline that `save_half` wrote, in float32."""
    pipeline = ZImagePipeline.from_pretrained(folder).to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def save_half(pipeline: ZImagePipeline, folder: Path) -> None:
    """Write a float16 copy of a pipeline; the pipeline itself is not changed."""
    vae, encoder, transformer = (
        copy.deepcopy(getattr(pipeline, name)).to("cpu", torch.float16)
        for name in ("vae", "text_encoder", "transformer")
    )
    half = assembled(vae, encoder, pipeline.tokenizer, transformer)
    with whole_folder(folder, replaces=True) as unfinished:
        half.save_pretrained(unfinished)


def finished_vae(directory: Path) -> AutoencoderKL:
    """Load the VAE of the stage `vae`."""
    folder = directory / "vae" / "model"
    if not folder.exists():
        raise UserError(f"{folder} is missing: run the stage `vae` first")
    return AutoencoderKL.from_pretrained(folder)


def _compile_blocks(transformer: ZImageTransformer2DModel) -> None:
    """Compile each transformer block separately, in place: the lists of rows around them would break the graph."""
    # A class of block is compiled for both lengths, with and without noise, and for drawing.
    torch._dynamo.config.recompile_limit = 64
    for module in transformer.modules():
        if isinstance(module, ZImageTransformerBlock):
            module.compile(dynamic=False)


def made_tokenizer(folder: Path) -> Qwen2Tokenizer:
    """Return the tokenizer in `folder`; if there is none, make it of the first TOKENIZER_SCENES captions."""
    if not folder.exists():
        tag_lists = data.tag_lists("train", TOKENIZER_SCENES)
        texts = [", ".join(tags) for tags in tag_lists]
        tokenizer = networks.new_tokenizer(texts + [tag for tags in tag_lists for tag in tags])
        with whole_folder(folder) as unfinished:
            tokenizer.save_pretrained(unfinished)
    return AutoTokenizer.from_pretrained(folder)
