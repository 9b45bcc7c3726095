"""The common base of Stable Diffusion 1.x and XL: a UNet, CLIP, a VAE, a discrete noise schedule, kohya's names.

Code that needs torch is in sd_model.py, which the methods import when they are called.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.models import checkpoint
from bootstrap.models.checkpoint import Header, PredictionType
from bootstrap.models.families import clip_chunks, kohya_names, sd_configs
from bootstrap.models.family import (
    FLOW_SETTINGS,
    SAMPLERS,
    SCHEDULES,
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
from bootstrap.shot_limits import MOST_CLIP_SKIP

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

CONFIGS = Path(__file__).parent.parent / "configs"  # for single-file checkpoints
_THREE_BY_THREE = ("conv1", "conv2", "conv", "conv_in", "conv_out")

Config = Callable[[str], Mapping[str, Any]]
"""Returns the configuration of a part such as unet, vae or text_encoder."""


class StableDiffusion(ABC):
    """The base class of both families; its attributes and methods are described in bootstrap.models.family.Family."""

    name: str
    title: str
    pipeline: str  # diffusers' class
    beginning: str  # prefix of tensor names that only this family's single files have: the text encoders'
    beginnings: Mapping[str, str]  # of the tensors of each text encoder there, by part
    configs: str  # folder in CONFIGS
    parts: tuple[str, ...]
    prefixes: tuple[str, ...]  # of kohya's names, one per part
    is_xl: bool  # compared with kohya_names.are_of_xl
    lora_family: str
    lora_metadata: Mapping[str, str]

    defaults: Mapping[str, Mapping[str, Any]] = {}
    fixed: Mapping[str, Mapping[str, Any]] = {"training": dict.fromkeys(FLOW_SETTINGS)}  # they match no flows
    samplers: tuple[str, ...] = SAMPLERS
    schedules: tuple[str, ...] = SCHEDULES
    prediction_types: tuple[PredictionType, ...] = ("epsilon", "v_prediction")
    checkpointed: tuple[str, ...] = ("ResnetBlock2D", "BasicTransformerBlock")
    kohya_prefixes: tuple[str, ...] = kohya_names.PREFIXES

    # Recognizing a checkpoint, and its properties without loading it.

    def recognizes_folder(self, index: Mapping[str, Any], files: Files) -> bool:
        return index.get("_class_name") == self.pipeline

    def recognizes_file(self, header: Header) -> bool:
        return checkpoint.kind_without_family(header) is None and header.has(self.beginning)

    def shipped(self, name: str) -> Path:
        # The tokenizers of both families share Stable Diffusion 1.5's vocabulary.
        return CONFIGS / ("sd15" if name.startswith("tokenizer/") else self.configs) / name

    def geometry(self, files: Files) -> Geometry:
        return self.geometry_of(lambda part: sd_configs.read(files(f"{part}/config.json"), part))

    def geometry_of(self, config: Config) -> Geometry:
        unet, vae = config("unet"), config("vae")
        factor = 2 ** (len(vae["block_out_channels"]) - 1)
        step = factor * 2 ** (len(unet["down_block_types"]) - 1)
        return Geometry(int(unet["sample_size"]) * factor, step, factor, int(unet.get("in_channels", 4)))

    def prediction_type(self, files: Files, header: Header | None) -> PredictionType | None:
        if header is not None:
            return header.prediction_type
        config = sd_configs.read(files("scheduler/scheduler_config.json"), "scheduler")
        configured: PredictionType = config.get("prediction_type", "epsilon")
        return configured

    def most_clip_skip(self, files: Files) -> int | None:
        config = sd_configs.read(files("text_encoder/config.json"), "text_encoder")
        return int(config.get("num_hidden_layers", MOST_CLIP_SKIP))

    def vocabulary(self, files: Files) -> Vocabulary | None:
        vocabulary_file = files("tokenizer/vocab.json")
        configs = [files(f"{part}/config.json") for part in self.parts[1:]]
        if vocabulary_file is None or None in configs:
            return None
        widths = tuple(int(sd_configs.read(config, "text_encoder")["hidden_size"]) for config in configs)
        return clip_chunks.ClipVocabulary(clip_chunks.tokenizer_in(vocabulary_file.parent), widths)

    def load(self, spec: BaseModelSpec, content_hash: str, dtype: "torch.dtype") -> BaseModel:
        from bootstrap.models.families import sd_model

        pipeline = self._pipeline(self._read(spec, dtype))
        return BaseModel(
            spec,
            content_hash,
            self,
            self.geometry_of(lambda part: getattr(pipeline, part).config),
            pipeline.unet,
            pipeline.vae,
            [getattr(pipeline, part) for part in self.parts[1:]],
            [getattr(pipeline, part.replace("text_encoder", "tokenizer")) for part in self.parts[1:]],
            sd_model.scheduler_config(spec, pipeline.scheduler.config),
        )

    def place(self, base: BaseModel, device: "torch.device") -> None:
        from bootstrap.models.families import sd_model

        sd_model.place(base, device)

    def _read(self, spec: BaseModelSpec, dtype: "torch.dtype") -> dict[str, Any]:
        """Return the parts, as keyword arguments of diffusers' pipeline."""
        from bootstrap.models.families import sd_reading

        if spec.kind == "file":
            parts = sd_reading.of_file(spec, CONFIGS / self.configs, self.beginnings, dtype)
            return parts | self._shipped_tokenizers()
        folder = sd_reading.downloaded(spec) if spec.kind == "hub" else Path(spec.source)
        return sd_reading.of_folder(spec, folder, list(self.parts[1:]), dtype)

    @abstractmethod
    def _pipeline(self, parts: Mapping[str, Any]) -> Any:
        """Return diffusers' pipeline, which corrects the configurations of old models."""

    @abstractmethod
    def _shipped_tokenizers(self) -> dict[str, Any]:
        """Return the tokenizers of a single-file checkpoint, by their names in the pipeline."""

    # Text.

    def check_prompt(self, prompt: Prompt, files: Files) -> None:
        return None  # CLIP reads the whole syntax, and long prompts in chunks

    def length(self, base: BaseModel, prompt: Prompt, embeddings: Sequence[Embedding] = ()) -> int:
        """Return the number of chunks of 75 tokens."""
        return len(clip_chunks.divided(base.tokenizers[0], prompt, embeddings))

    def encode(
        self,
        base: BaseModel,
        prompts: Sequence[Prompt],
        length: int | None,
        clip_skip: int,
        embeddings: Sequence[Embedding] = (),
    ) -> Conditioning:
        import torch

        from bootstrap.models.families import clip

        divided = [clip_chunks.divided(base.tokenizers[0], prompt, embeddings) for prompt in prompts]
        count = max(length or 1, *(len(chunks) for chunks in divided))
        filled = clip.filled(base.tokenizers[0], divided, count)
        tokens = torch.tensor([chunk.tokens for chunk in filled], device=base.device)
        weights = clip.weights_of(filled, base.device)
        with clip.embeddings_in(base.text_encoders, filled):
            return self._encoded(base, tokens, weights, count, clip_skip)

    def tokens(self, base: BaseModel, captions: Sequence[str], length: int) -> "torch.Tensor":
        """Return the tokens, (captions * length, 77), int64."""
        import torch

        from bootstrap.models.families import clip

        divided = [clip_chunks.plain_chunks(base.tokenizers[0], caption) for caption in captions]
        filled = clip.filled(base.tokenizers[0], divided, length)
        return torch.tensor([chunk.tokens for chunk in filled], device=base.device)

    def encode_tokens(
        self, base: BaseModel, tokens: "torch.Tensor", length: int, clip_skip: int
    ) -> Conditioning:
        return self._encoded(base, tokens, None, length, clip_skip)

    def _encoded(
        self,
        base: BaseModel,
        tokens: "torch.Tensor",
        weights: "torch.Tensor | None",
        length: int,
        clip_skip: int,
    ) -> Conditioning:
        """Encode chunks (rows * length, 77) to states (rows, 77 * length, width), pooled of each row's first chunk."""
        states, pooled = self._states(base, tokens, weights, clip_skip)
        states = states.reshape(len(tokens) // length, length * tokens.shape[-1], -1)
        if pooled is not None:
            pooled = pooled.reshape(len(states), length, -1)[:, 0]
        return Conditioning(states, pooled)

    @abstractmethod
    def _states(
        self, base: BaseModel, tokens: "torch.Tensor", weights: "torch.Tensor | None", clip_skip: int
    ) -> "tuple[torch.Tensor, torch.Tensor | None]":
        """Encode chunks (number, 77) to states (number, 77, width) and pooled (number, width), if any."""

    def padded(self, parts: Sequence[Conditioning]) -> Conditioning:
        from bootstrap.models import conditioning

        return conditioning.lengthened(parts)

    def unprompted(self, negative: Conditioning, empty: list[int]) -> Conditioning:
        return negative

    def embedding_vectors(
        self, tensors: "Mapping[str, NDArray[np.float32]]"
    ) -> "tuple[NDArray[np.float32], ...] | None":
        vectors = self._embedding_tensors(tensors)
        if vectors is None:
            return None
        vectors = tuple(array[None] if array.ndim == 1 else array for array in vectors)
        count = len(vectors[0]) if vectors[0].ndim else 0
        if any(array.ndim != 2 or len(array) != count for array in vectors):
            raise ValueError("its tensors are not all (vectors, width), or differ in their number of vectors")
        if not 1 <= count <= clip_chunks.LENGTH:  # more do not fit into a chunk
            raise ValueError(f"it has {count} vectors; 1 to {clip_chunks.LENGTH} can be used")
        return vectors

    @abstractmethod
    def _embedding_tensors(
        self, tensors: "Mapping[str, NDArray[np.float32]]"
    ) -> "tuple[NDArray[np.float32], ...] | None": ...

    # Latents.

    def encode_pixels(self, base: BaseModel, pixels: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        from bootstrap.models.families import sd_model

        return sd_model.encode_pixels(base, pixels)

    def decode_latents(self, base: BaseModel, latents: "torch.Tensor") -> "torch.Tensor":
        from bootstrap.models.families import sd_model

        return sd_model.decode_latents(base, latents)

    # Noise and the denoiser.

    def noise(self, base: BaseModel, flow: FlowTraining | None = None) -> NoiseProcess:
        from bootstrap.models.noise import DiscreteNoise

        return DiscreteNoise(base.scheduler_config)

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
        from bootstrap.models import discrete_sampling

        return discrete_sampling.sampling(
            base.scheduler_config, sampler, schedule, steps, last, noise, generators
        )

    def step_sigmas(
        self, spec: BaseModelSpec, files: Files, sampler: str, schedule: str, steps: int
    ) -> list[float]:
        from bootstrap.models import discrete_sampling
        from bootstrap.models.families import sd_model

        stated = checkpoint.read_json(files("scheduler/scheduler_config.json"))
        return discrete_sampling.step_sigmas(
            sd_model.scheduler_config(spec, stated), sampler, schedule, steps
        )

    def predict(
        self,
        base: BaseModel,
        latents: "torch.Tensor",
        timesteps: "torch.Tensor",
        conditioning: Conditioning,
    ) -> "torch.Tensor":
        from bootstrap.models.families import sd_model

        return sd_model.predict(base, latents, timesteps, conditioning, None)

    def activations(
        self, base: BaseModel, latents: "torch.Tensor", timestep: "torch.Tensor", conditioning: Conditioning
    ) -> "torch.Tensor":
        from bootstrap.models.families import sd_model

        return sd_model.activations(base, latents, timestep, conditioning)

    def activation_count(self, base: BaseModel) -> int:
        from bootstrap.models.families import sd_model

        return sd_model.activation_count(base)

    # LoRA files.

    def owns_lora(self, names: Iterable[str]) -> bool:
        return kohya_names.are_of_xl(names) == self.is_xl

    def lora_targets(self, base: BaseModel, convolutions: bool) -> "list[tuple[nn.Module, dict[str, str]]]":
        """Return the UNet's targets, then the text encoders'; see `unet_targets` and `text_encoder_targets`."""
        targets: list[tuple[nn.Module, dict[str, str]]] = [
            (base.denoiser, self.unet_targets(base.denoiser, convolutions))
        ]
        for encoder, part in zip(base.text_encoders, self.parts[1:], strict=True):
            targets.append((encoder, self.text_encoder_targets(encoder, part)))
        return targets

    def unet_targets(self, unet: "nn.Module", convolutions: bool = False) -> dict[str, str]:
        """Return {kohya's name: module path} of all Linear and 1x1 Conv modules in the transformer blocks.

        These are 192 modules for SD1.5, 722 for SDXL (sd-scripts, networks/lora.py, `UNET_TARGET_REPLACE_MODULE`).

        Args:
            convolutions: add the residual blocks, downsamplers and upsamplers for a LoCon, as with kohya's conv_dim
                (`UNET_TARGET_REPLACE_MODULE_CONV2D_3X3`): 278 modules for SD1.5, 788 for SDXL.
        """
        from bootstrap.models.families import sd_model

        paths = sd_model.unet_modules(unet, convolutions)
        return {self.kohya_name(path, "unet"): path for path in paths}

    def text_encoder_targets(self, text_encoder: "nn.Module", part: str = "text_encoder") -> dict[str, str]:
        """Return {kohya's name: module path} of the Linear modules in attention and MLP.

        These are 72 modules for CLIP-L, 192 for SDXL's second text encoder.
        """
        from bootstrap.models.families import sd_model

        return {self.kohya_name(path, part): path for path in sd_model.text_modules(text_encoder)}

    def kohya_name(self, path: str, part: str) -> str:
        """Return kohya's name of a module path such as `mid_block.attentions.0.proj_in`."""
        prefix = self.prefixes[self.parts.index(part)]
        return f"{prefix}_{path.replace('.', '_')}" if part == "unet" else kohya_names.text_name(path, prefix)

    def module_path(self, name: str) -> tuple[str, str]:
        return kohya_names.module_path(name)

    def file_module(self, name: str) -> FileModule | None:
        return None

    def comfyui_module(self, name: str) -> FileModule | None:
        return None

    def stem_path(self, stem: str) -> tuple[str, str]:
        return kohya_names.stem_path(stem)

    def matrix_names(self, part: str) -> tuple[str, str]:
        # Older releases and other tools know these names of the text encoders' matrices as well.
        kind = "lora" if part == "unet" else "lora_linear_layer"
        return f".{kind}.down.weight", f".{kind}.up.weight"

    def part_title(self, name: str) -> str:
        if name.startswith("lora_unet_"):
            return "UNet"
        return "second text encoder" if name.startswith("lora_te2_") else "text encoder"

    def kernel_size(self, name: str) -> int | None:
        try:
            path, part = kohya_names.module_path(name)
        except ValueError:
            return None
        last = path.rsplit(".", 1)[-1]
        if part != "unet":
            return None
        if last in _THREE_BY_THREE:
            return 3
        return 1 if last == "conv_shortcut" or last in self._one_by_one else None

    _one_by_one: tuple[str, ...] = ()  # 1x1 convolutions at the ends of attention blocks, if any
