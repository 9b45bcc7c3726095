"""The common base of the families that match flows with a transformer and read prompts with Qwen3.

Code that needs torch is in flow_model.py and in the families' own modules, which the methods import when called.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.models import checkpoint
from bootstrap.models.checkpoint import Header, PredictionType
from bootstrap.models.families import qwen3
from bootstrap.models.families.original_names import OriginalNames
from bootstrap.models.family import (
    BaseModel,
    BaseModelSpec,
    FileModule,
    Files,
    FlowTraining,
    Geometry,
    NoiseProcess,
    Sampling,
    Vocabulary,
)
from bootstrap.models.prompt import Conditioning, Embedding, Prompt

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

# Before a module's path: of kohya and ComfyUI, OneTrainer, LyCORIS; of PEFT, diffusers, ComfyUI and ai-toolkit.
_KOHYA = re.compile(r"lora_unet_|lora_transformer_|lycoris_")
_DOTTED = re.compile(r"(?:base_model\.model\.|transformer\.|(?:model\.)?diffusion_model\.)+")

# What no family of this kind has.
FIXED: Mapping[str, Mapping[str, Any]] = {
    "training": {"clip_skip": 1, "conv_dim": None, "min_snr_gamma": None, "text_encoder_lr": 0.0, "noise_offset": 0.0},
    "drawing": {"clip_skip": None},
}  # fmt: skip


class FlowTransformer(ABC):
    """The base class; its attributes and methods are described in bootstrap.models.family.Family."""

    name: str
    title: str
    pipeline: str  # diffusers' class
    thinking: bool  # see qwen3.Template
    lora_metadata: Mapping[str, str]
    defaults: Mapping[str, Mapping[str, Any]]

    fixed: Mapping[str, Mapping[str, Any]] = FIXED
    samplers: tuple[str, ...] = ("Euler", "Heun")
    schedules: tuple[str, ...] = ("Automatic",)
    prediction_types: tuple[PredictionType, ...] = ()
    parts: tuple[str, ...] = ("transformer",)
    kohya_prefixes: tuple[str, ...] = ("lora_unet_", "lora_transformer_")
    lora_family: str
    original_names: OriginalNames
    checkpointed: tuple[str, ...]

    # Recognizing a checkpoint, and its properties without loading it.

    def recognizes_folder(self, index: Mapping[str, Any], files: Files) -> bool:
        return index.get("_class_name") == self.pipeline

    def recognizes_file(self, header: Header) -> bool:
        return False  # single files of these models hold the transformer alone

    def shipped(self, name: str) -> Path:
        raise NotImplementedError("there are no single-file checkpoints of it")

    def most_clip_skip(self, files: Files) -> int | None:
        """Return None: it is always the same layers."""
        return None

    def prediction_type(self, files: Files, header: Header | None) -> PredictionType | None:
        return None

    def vocabulary(self, files: Files) -> Vocabulary | None:
        vocabulary_file = files("tokenizer/tokenizer_config.json")
        if vocabulary_file is None:
            return None
        return qwen3.QwenVocabulary(qwen3.tokenizer_in(vocabulary_file.parent))

    def load(self, spec: BaseModelSpec, content_hash: str, dtype: "torch.dtype") -> BaseModel:
        from bootstrap.models.families import flow_model

        pipeline = flow_model.read(spec, dtype)
        return BaseModel(
            spec,
            content_hash,
            self,
            self.geometry_of({part: getattr(pipeline, part).config for part in ("transformer", "vae")}),
            pipeline.transformer,
            pipeline.vae,
            [pipeline.text_encoder],
            [pipeline.tokenizer],
            dict(pipeline.scheduler.config),
        )

    def geometry(self, files: Files) -> Geometry:
        configs = {
            part: checkpoint.read_json(files(f"{part}/config.json")) for part in ("transformer", "vae")
        }
        return self.geometry_of(configs)

    @abstractmethod
    def geometry_of(self, configs: Mapping[str, Mapping[str, Any]]) -> Geometry:
        """Return the sizes by the configurations of `transformer` and `vae`."""

    def place(self, base: BaseModel, device: "torch.device") -> None:
        for module in base.modules:
            module.to(device)

    # Text.

    def check_prompt(self, prompt: Prompt, files: Files) -> None:
        qwen3.check(prompt, files("tokenizer/tokenizer_config.json"), self.thinking, self.title)

    def template(self, base: BaseModel) -> qwen3.Template:
        """Return the text encoder's tokenizer with its template."""
        return qwen3.Template(base.tokenizers[0], self.thinking, self.title)

    @abstractmethod
    def filled(self, tokens: int) -> int:
        """Return the length of a text's states, of which `tokens` are its own."""

    @abstractmethod
    def encode_tokens(
        self, base: BaseModel, tokens: "torch.Tensor", length: int, clip_skip: int
    ) -> Conditioning: ...

    def length(self, base: BaseModel, prompt: Prompt, embeddings: Sequence[Embedding] = ()) -> int:
        """Return the length of the text's states, in tokens."""
        return self.filled(len(self.template(base).ids(prompt)))

    def encode(
        self,
        base: BaseModel,
        prompts: Sequence[Prompt],
        length: int | None,
        clip_skip: int,
        embeddings: Sequence[Embedding] = (),
    ) -> Conditioning:
        rows = [self.template(base).ids(prompt) for prompt in prompts]
        longest = max(length or 0, *(self.filled(len(ids)) for ids in rows))
        tokens = qwen3.padded_ids(rows, longest, base.tokenizers[0].pad_token_id)
        return self.encode_tokens(base, tokens.to(base.device), longest, clip_skip)

    def tokens(self, base: BaseModel, captions: Sequence[str], length: int) -> "torch.Tensor":
        rows = [self.template(base).ids(caption) for caption in captions]
        return qwen3.padded_ids(rows, length, base.tokenizers[0].pad_token_id).to(base.device)

    def unprompted(self, negative: Conditioning, empty: list[int]) -> Conditioning:
        return negative

    def embedding_vectors(
        self, tensors: "Mapping[str, NDArray[np.float32]]"
    ) -> "tuple[NDArray[np.float32], ...] | None":
        return None

    @abstractmethod
    def padded(self, parts: Sequence[Conditioning]) -> Conditioning: ...

    # Latents, noise and the denoiser.

    @abstractmethod
    def encode_pixels(
        self, base: BaseModel, pixels: "torch.Tensor"
    ) -> "tuple[torch.Tensor, torch.Tensor]": ...

    @abstractmethod
    def decode_latents(self, base: BaseModel, latents: "torch.Tensor") -> "torch.Tensor": ...

    @abstractmethod
    def predict(
        self,
        base: BaseModel,
        latents: "torch.Tensor",
        timesteps: "torch.Tensor",
        conditioning: Conditioning,
    ) -> "torch.Tensor": ...

    @abstractmethod
    def activations(
        self, base: BaseModel, latents: "torch.Tensor", timestep: "torch.Tensor", conditioning: Conditioning
    ) -> "torch.Tensor": ...

    @abstractmethod
    def activation_count(self, base: BaseModel) -> int: ...

    def noise(self, base: BaseModel, flow: FlowTraining | None = None) -> NoiseProcess:
        from bootstrap.models.flow_matching import FlowNoise

        return FlowNoise(flow, _patch(base))

    @abstractmethod
    def mu(self, config: Mapping[str, Any], tokens: int, steps: int) -> float:
        """Return the shift of a scheduler with dynamic shifting, for a picture of this many tokens."""

    def sampling(
        self,
        base: BaseModel,
        sampler: str,
        schedule: str,
        steps: int,
        last: int | None,
        noise: "torch.Tensor",
        generators: "Sequence[torch.Generator]",
    ) -> Sampling:
        from bootstrap.models import flow_matching

        tokens = noise.shape[-2] * noise.shape[-1] // _patch(base) ** 2
        sigmas = flow_matching.schedule(
            base.scheduler_config, steps, self.mu(base.scheduler_config, tokens, steps)
        )
        return flow_matching.FlowSampling(sampler, sigmas, last, noise)

    def step_sigmas(
        self, spec: BaseModelSpec, files: Files, sampler: str, schedule: str, steps: int
    ) -> list[float]:
        from bootstrap.models import flow_matching

        config = checkpoint.read_json(files("scheduler/scheduler_config.json"))
        sizes = self.geometry(files)
        tokens = (sizes.resolution // sizes.size_step) ** 2
        return [
            float(sigma) for sigma in flow_matching.schedule(config, steps, self.mu(config, tokens, steps))
        ]

    # LoRA files: the names are diffusers' module paths.

    @abstractmethod
    def lora_paths(self, transformer: "nn.Module") -> list[str]:
        """Return the paths of the modules that a LoRA trains."""

    def lora_targets(self, base: BaseModel, convolutions: bool) -> "list[tuple[nn.Module, dict[str, str]]]":
        paths = self.lora_paths(base.denoiser)
        return [(base.denoiser, {self.kohya_name(path, "transformer"): path for path in paths})]

    def kohya_name(self, path: str, part: str) -> str:
        return f"lora_unet_{path.replace('.', '_')}"

    def file_module(self, name: str) -> FileModule | None:
        found = self.original_names.original(self.module_path(name)[0])
        if found is None:
            return None
        own_names = tuple(self.kohya_name(path, "transformer") for path in found.own_paths)
        return FileModule(
            self.kohya_name(found.path, "transformer"), found.path, own_names, found.halves_swapped
        )

    def comfyui_module(self, name: str) -> FileModule | None:
        return self.file_module(name)

    def module_path(self, name: str) -> tuple[str, str]:
        found = _KOHYA.match(name)
        return self._known_path(name[found.end() :] if found else name), "transformer"

    def stem_path(self, stem: str) -> tuple[str, str]:
        found = _DOTTED.match(stem)
        return self._known_path(stem[found.end() :] if found else stem), "transformer"

    def _known_path(self, name: str) -> str:
        path = self.original_names.path(name)
        if path is None:
            raise ValueError(f"'{name}' is not a module of {self.title}")
        return path

    def matrix_names(self, part: str) -> tuple[str, str]:
        return ".lora_A.weight", ".lora_B.weight"

    def part_title(self, name: str) -> str:
        return "transformer"

    def kernel_size(self, name: str) -> int | None:
        return None

    def owns_lora(self, names: Iterable[str]) -> bool:
        """Whether all are kohya's names of its modules; of other dialects, lora_kinds tells the model by more."""
        listed = list(names)
        return bool(listed) and all(
            name.startswith("lora_unet_")
            and self.original_names.path(name.removeprefix("lora_unet_")) is not None
            for name in listed
        )


def _patch(base: BaseModel) -> int:
    """Return the latent pixels per token of the transformer, along each side."""
    return base.geometry.size_step // base.geometry.latent_factor
