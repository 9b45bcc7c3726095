"""A family of base models outside the package, in one file: a made-up flow-matching transformer of 9,000 weights.

It has nothing in common with Stable Diffusion: its latents are pixels folded 2 by 2, shifted and scaled, without a VAE;
its text encoder reads whole words by their bytes, without chunks; its noise process is a straight line from picture to
noise (rectified flow, Liu et al. 2022, arXiv 2209.03003), with timesteps from 0.0 to 1.0; its denoiser packs the
latents once more; and its LoRA files have names of their own.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from bootstrap.models.checkpoint import Header, PredictionType
from bootstrap.models.family import (
    BaseModel,
    BaseModelSpec,
    FileModule,
    Files,
    FlowTraining,
    Geometry,
    NoiseProcess,
    Sampling,
)
from bootstrap.models.prompt import CHUNK_END, Conditioning, Embedding, Prompt, Span

WIDTH = 32
WORDS = 64  # size of the text encoder's vocabulary
SHIFT, SCALE = 0.1, 1.25
PACKED = 2  # latent pixels per token, along each side


class Denoiser(nn.Module):
    """One transformer block over the picture's tokens and the words'."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(12 * PACKED**2, WIDTH)
        self.time = nn.Linear(2, WIDTH)
        self.to_q, self.to_k = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.to_v, self.to_out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, 12 * PACKED**2)

    def forward(self, latents: torch.Tensor, timesteps: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        height, width = latents.shape[-2] // PACKED, latents.shape[-1] // PACKED
        folded = F.pixel_unshuffle(latents, PACKED).flatten(2).transpose(1, 2)
        time = torch.stack([timesteps, 1 - timesteps], dim=-1).expand(len(latents), 2)
        tokens = self.into(folded) + self.time(time)[:, None]
        context = torch.cat([tokens, states], dim=1)
        attended = F.scaled_dot_product_attention(
            self.to_q(tokens)[:, None], self.to_k(context)[:, None], self.to_v(context)[:, None]
        )
        tokens = self.middle(tokens + self.to_out(attended[:, 0]))
        predicted = self.out(tokens).transpose(1, 2).unflatten(2, (height, width))
        return F.pixel_shuffle(predicted, PACKED)

    def middle(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the activations that are compared between pictures."""
        return torch.tanh(tokens)


class TextEncoder(nn.Module):
    """A vector for each word; word 0 is padding."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.mix(self.words(tokens))
        return mixed


def words_of(prompt: Prompt) -> list[tuple[int, float]]:
    """Return the words' numbers and weights; an empty prompt is a single padding word."""
    spans = [Span(prompt, 1.0)] if isinstance(prompt, str) else [span for span in prompt if span != CHUNK_END]
    words = [(word, span.weight) for span in spans for word in re.findall(r"\w+", span.text.casefold())]
    return [(1 + sum(word.encode()) % (WORDS - 1), weight) for word, weight in words] or [(0, 1.0)]


class Words:
    """The text encoder's vocabulary."""

    chunk_tokens = None

    widths: tuple[int, ...] = (WIDTH,)

    def count(self, text: str) -> int:
        return len(re.findall(r"\w+", text))

    def embeddings_in(self, prompt: Prompt, embeddings: Sequence[Embedding]) -> set[Embedding]:
        return set()


class StraightLine:
    """Rectified flow: noisy = (1 - t) latents + t noise, and the denoiser predicts noise - latents."""

    def timesteps(self, count: int, generator: torch.Generator, size: tuple[int, int]) -> torch.Tensor:
        return torch.sigmoid(torch.randn(count, generator=generator))

    def at(self, share: float) -> torch.Tensor:
        return torch.tensor(share)

    def add(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        t = timesteps.to(latents)[:, None, None, None]
        return (1 - t) * latents + t * noise

    def target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        return noise - latents

    def loss_weights(self, timesteps: torch.Tensor, min_snr_gamma: float | None) -> torch.Tensor | None:
        return None


class EulerOnALine:
    """Euler's steps from t = 1 to t = 0."""

    def __init__(self, steps: int, last: int | None, noise: torch.Tensor) -> None:
        self._levels = torch.linspace(1, 0, steps + 1, device=noise.device)[-(last or steps) - 1 :]
        self._noise, self._step = noise, 0
        self.timesteps = self._levels[:-1]

    def begin(self, origin: torch.Tensor | None) -> torch.Tensor:
        return self._noise if origin is None else self.noised(origin, 0)

    def model_input(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        return latents

    def step(self, predicted: torch.Tensor, timestep: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        self._step += 1
        return latents + (self._levels[self._step] - timestep) * predicted

    def noised(self, origin: torch.Tensor, step: int) -> torch.Tensor:
        level = self._levels[step]
        return (1 - level) * origin + level * self._noise


class TinyFlow:
    """The family; its attributes and methods are described in bootstrap.models.family.Family."""

    name = "tiny-flow"
    title = "Tiny Flow"

    defaults: Mapping[str, Mapping[str, Any]] = {
        "training": {"network_dim": 4, "network_alpha": 4, "unet_lr": 1e-2, "text_encoder_lr": 1e-2},
        "drawing": {"sampler": "Euler", "steps": 6, "cfg_scale": 2.0},
    }
    fixed: Mapping[str, Mapping[str, Any]] = {
        "training": {
            "clip_skip": 1,
            "conv_dim": None,
            "min_snr_gamma": None,
            "gradient_checkpointing": False,
        },
    }
    samplers: tuple[str, ...] = ("Euler",)
    schedules: tuple[str, ...] = ("Automatic",)
    prediction_types: tuple[PredictionType, ...] = ()

    def recognizes_folder(self, index: Mapping[str, Any], files: Files) -> bool:
        return index.get("_class_name") == "TinyFlowPipeline"

    def recognizes_file(self, header: Header) -> bool:
        return header.has("tiny_flow.")

    def shipped(self, name: str) -> Path:
        raise NotImplementedError("there are no single-file checkpoints of it")

    def geometry(self, files: Files) -> Geometry:
        path = files("transformer/config.json")
        side = json.loads(path.read_text())["side"] if path is not None else 64
        return Geometry(side, 2 * PACKED, 2, 12)

    def prediction_type(self, files: Files, header: Header | None) -> PredictionType | None:
        return None

    def most_clip_skip(self, files: Files) -> int | None:
        return None

    def vocabulary(self, files: Files) -> Words:
        return Words()

    def load(self, spec: BaseModelSpec, content_hash: str, dtype: torch.dtype) -> BaseModel:
        folder = Path(spec.source)
        parts: dict[str, nn.Module] = {"transformer": Denoiser(), "text_encoder": TextEncoder()}
        for name, module in parts.items():
            module.load_state_dict(load_file(folder / name / "model.safetensors"))
        geometry = self.geometry(lambda name: folder / name)
        return BaseModel(
            spec, content_hash, self, geometry, parts["transformer"], None, [parts["text_encoder"]], [], {}
        )

    def place(self, base: BaseModel, device: torch.device) -> None:
        for module in base.modules:
            module.to(device)

    # Text: one token per word.

    def check_prompt(self, prompt: Prompt, files: Files) -> None:
        pass

    def length(self, base: BaseModel, prompt: Prompt, embeddings: Sequence[Embedding] = ()) -> int:
        return len(words_of(prompt))

    def encode(
        self,
        base: BaseModel,
        prompts: Sequence[Prompt],
        length: int | None,
        clip_skip: int,
        embeddings: Sequence[Embedding] = (),
    ) -> Conditioning:
        split = [words_of(prompt) for prompt in prompts]
        longest = max(length or 1, *(len(words) for words in split))
        padded = [words + [(0, 1.0)] * (longest - len(words)) for words in split]
        tokens = torch.tensor([[number for number, _ in words] for words in padded], device=base.device)
        weights = torch.tensor([[weight for _, weight in words] for words in padded], device=base.device)
        return Conditioning(base.text_encoders[0](tokens) * weights[:, :, None], None)

    def tokens(self, base: BaseModel, captions: Sequence[str], length: int) -> torch.Tensor:
        numbers = [[number for number, _ in words_of(caption)] for caption in captions]
        return torch.tensor([words + [0] * (length - len(words)) for words in numbers], device=base.device)

    def encode_tokens(
        self, base: BaseModel, tokens: torch.Tensor, length: int, clip_skip: int
    ) -> Conditioning:
        return Conditioning(base.text_encoders[0](tokens), None)

    def padded(self, parts: Sequence[Conditioning]) -> Conditioning:
        longest = max(part.states.shape[1] for part in parts)
        states = [F.pad(part.states, (0, 0, 0, longest - part.states.shape[1])) for part in parts]
        return Conditioning(torch.cat(states), None)

    def unprompted(self, negative: Conditioning, empty: list[int]) -> Conditioning:
        return negative

    def embedding_vectors(
        self, tensors: Mapping[str, NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], ...] | None:
        return None

    # Latents: pixels folded 2 by 2.

    def encode_pixels(self, base: BaseModel, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = (F.pixel_unshuffle(pixels, 2) - SHIFT) * SCALE
        return mean, torch.zeros_like(mean)

    def decode_latents(self, base: BaseModel, latents: torch.Tensor) -> torch.Tensor:
        return F.pixel_shuffle(latents / SCALE + SHIFT, 2)

    # Noise and the denoiser.

    def noise(self, base: BaseModel, flow: FlowTraining | None = None) -> NoiseProcess:
        return StraightLine()

    def sampling(
        self,
        base: BaseModel,
        sampler: str,
        schedule: str,
        steps: int,
        last: int | None,
        noise: torch.Tensor,
        generators: Sequence[torch.Generator],
    ) -> Sampling:
        return EulerOnALine(steps, last, noise)

    def step_sigmas(
        self, spec: BaseModelSpec, files: Files, sampler: str, schedule: str, steps: int
    ) -> list[float]:
        return torch.linspace(1, 0, steps + 1).tolist()

    def predict(
        self,
        base: BaseModel,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        conditioning: Conditioning,
    ) -> torch.Tensor:
        predicted: torch.Tensor = base.denoiser(latents, timesteps.to(latents), conditioning.states)
        return predicted.float()

    def activations(
        self,
        base: BaseModel,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        conditioning: Conditioning,
    ) -> torch.Tensor:
        denoiser: Any = base.denoiser
        inputs: list[torch.Tensor] = []
        hook = denoiser.out.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
        try:
            self.predict(base, latents, timestep, conditioning)
        finally:
            hook.remove()
        side = (latents.shape[-2] // PACKED, latents.shape[-1] // PACKED)
        return inputs[0].transpose(1, 2).unflatten(2, side)

    def activation_count(self, base: BaseModel) -> int:
        return WIDTH

    checkpointed: tuple[str, ...] = ()

    # LoRA files.

    lora_family = "tiny-flow"
    lora_metadata: Mapping[str, str] = {
        "ss_base_model_version": "tiny_flow",
        "modelspec.architecture": "tiny-flow/lora",
        "modelspec.implementation": "https://example.com/tiny-flow",
    }
    kohya_prefixes: tuple[str, ...] = ("lora_flow_", "lora_words_")
    parts: tuple[str, ...] = ("flow_transformer", "word_encoder")
    _modules: Mapping[str, tuple[str, ...]] = {
        "flow_transformer": ("into", "to_q", "to_k", "to_v", "to_out", "out"),
        "word_encoder": ("mix",),
    }

    def owns_lora(self, names: Iterable[str]) -> bool:
        return all(name.startswith((*self.kohya_prefixes, *self.parts)) for name in names)

    def lora_targets(self, base: BaseModel, convolutions: bool) -> list[tuple[nn.Module, dict[str, str]]]:
        models = (base.denoiser, base.text_encoders[0])
        return [
            (model, {self.kohya_name(path, part): path for path in self._modules[part]})
            for model, part in zip(models, self.parts, strict=True)
        ]

    def kohya_name(self, path: str, part: str) -> str:
        return self.kohya_prefixes[self.parts.index(part)] + path

    def module_path(self, name: str) -> tuple[str, str]:
        for prefix, part in zip(self.kohya_prefixes, self.parts, strict=True):
            if name.removeprefix(prefix) in self._modules[part]:
                return name.removeprefix(prefix), part
        raise ValueError(f"'{name}' is not a module of {self.title}")

    def file_module(self, name: str) -> FileModule | None:
        return None

    def comfyui_module(self, name: str) -> FileModule | None:
        return None

    def stem_path(self, stem: str) -> tuple[str, str]:
        part, _, path = stem.partition(".")
        return path, part

    def matrix_names(self, part: str) -> tuple[str, str]:
        return ".lora_A.weight", ".lora_B.weight"

    def part_title(self, name: str) -> str:
        return "transformer" if name.startswith("lora_flow_") else "word encoder"

    def kernel_size(self, name: str) -> int | None:
        return None


TINY_FLOW = TinyFlow()


def write_model(folder: Path) -> Path:
    """Write a model with random weights in diffusers' layout; return the folder."""
    torch.manual_seed(0)
    model = SimpleNamespace(transformer=Denoiser(), text_encoder=TextEncoder())
    for name in ("transformer", "text_encoder"):
        (folder / name).mkdir(parents=True)
        save_file(getattr(model, name).state_dict(), folder / name / "model.safetensors")
    (folder / "transformer" / "config.json").write_text(json.dumps({"side": 64}))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "TinyFlowPipeline"}))
    return folder
