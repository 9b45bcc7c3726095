"""The one seam: what a family of base models is. Nothing outside `models/families/` asks which family a model is of.

How to add a family:

1. Write `models/families/NAME.py` with an object that answers everything that `Family` below asks. What is shared with
   another family is called from there, as sd1.py and sdxl.py do with stable_diffusion.py. The module must import
   neither torch nor diffusers nor transformers when it is imported: plans and names need none of them.
2. Add the object to the list in `models/registry.py`. A test registers its own for a while:
   `with registry.registered(FAMILY): ...`.
3. Configurations and tokenizers that a single-file checkpoint lacks go into `models/configs/NAME/`.
4. Where `models/checkpoint.py` names the kind among those without a family, take its line out.

Training, drawing, the adviser, features, LoRA files, settings and plans then work with it as they are. What it cannot
honour, it says in `fixed`, `samplers` and `prediction_types`, and such a setting is refused by name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from bootstrap.models.checkpoint import Header, PredictionType
from bootstrap.models.prompt import Conditioning, Embedding, Prompt

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn


Sampler = Literal[
    "Euler a", "Euler", "Heun", "DPM++ 2M", "DPM++ 2M Karras", "DPM++ 2M SDE", "DPM++ 2M SDE Karras", "DPM++ SDE",
    "DPM++ SDE Karras", "DDIM", "UniPC", "LCM",
]  # fmt: skip
SAMPLERS: tuple[str, ...] = get_args(Sampler)  # all that any family has, by AUTOMATIC1111's names

Files = Callable[[str], Path | None]
"""Finds a file of a base model, such as `unet/config.json`; None: it is not on this machine. It may not exist."""

Settings = Mapping[str, Mapping[str, Any]]
"""{section of project.toml: {key: value}}"""


@dataclass(frozen=True)
class BaseModelSpec:
    """A base model that was found: not loaded yet."""

    name: str  # as it stands in project.toml
    kind: Literal["embedded", "folder", "file", "hub"]
    source: str  # a path, or the hub id
    defaults: Settings = field(default_factory=dict, compare=False, hash=False)
    prediction_type: PredictionType | None = None  # where the settings say another than the model itself
    other_prompts: tuple[str, ...] = field(default=(), compare=False)  # scenes that it knows, for the adviser
    tagger: str | None = field(
        default=None, compare=False
    )  # the one that comes with it and reads its pictures

    @property
    def title(self) -> str:
        """The short name that infotext calls `Model`."""
        return Path(self.source).stem if self.kind == "file" else self.name.rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Geometry:
    """What sizes of pictures and latents a base model is made for."""

    resolution: int  # side of the square pictures that it was made for, in pixels
    size_step: int  # width and height of a picture are multiples of this, in pixels
    latent_factor: int  # pixels of picture to one of latent, along each side
    latent_channels: int  # latents are (channels, height / latent_factor, width / latent_factor)


@dataclass
class BaseModel:
    """The parts of a loaded base model, frozen, in evaluation mode."""

    spec: BaseModelSpec
    hash: str  # SHA-256, see bootstrap.models.specs.content_hash
    family: "Family"
    geometry: Geometry
    denoiser: "nn.Module"  # what is trained and asked at each step; a UNet, a transformer
    vae: "nn.Module | None"  # None: the family's latents need no weights
    text_encoders: "list[nn.Module]"  # in the order in which a LoRA's parts name them
    tokenizers: list[Any]
    scheduler_config: dict[str, Any]  # what the family knows of the model's noise process

    @property
    def modules(self) -> "list[nn.Module]":
        """All parts that have weights: the denoiser, the VAE, the text encoders."""
        return [self.denoiser, *([] if self.vae is None else [self.vae]), *self.text_encoders]

    @property
    def device(self) -> "torch.device":
        """Where the weights are."""
        return next(self.denoiser.parameters()).device  # diffusers' property walks through all modules, 2 ms

    @property
    def dtype(self) -> "torch.dtype":
        """The type of the denoiser's weights."""
        return next(self.denoiser.parameters()).dtype

    @cached_property
    def is_small(self) -> bool:
        """Whether a step is many tiny operations, and fits into any machine."""
        return sum(parameter.numel() for parameter in self.denoiser.parameters()) < 50_000_000

    @property
    def prediction_type(self) -> PredictionType | None:
        """What it predicts; None: its family knows one kind only."""
        told: PredictionType = self.scheduler_config.get("prediction_type", "epsilon")
        return told if told in self.family.prediction_types else None

    @property
    def latent_factor(self) -> int:
        """Pixels of picture to one of latent, along each side."""
        return self.geometry.latent_factor

    @property
    def size_step(self) -> int:
        """Width and height of a picture are multiples of this, in pixels."""
        return self.geometry.size_step

    @property
    def resolution(self) -> int:
        """Side of the square pictures that the model was made for, in pixels."""
        return self.geometry.resolution


class Vocabulary(Protocol):
    """What a base model's text encoders read: known without loading them."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the vectors that each text encoder takes: embeddings must have them."""

    def count(self, text: str) -> int:
        """Return how many tokens a caption has, those that every text has not counted."""

    def embeddings_in(self, prompt: Prompt, embeddings: Sequence[Embedding]) -> set[Embedding]:
        """Return those of the embeddings that a prompt names."""


class NoiseProcess(Protocol):
    """How noise is added in training, and what the denoiser is to predict. Timesteps are of the family's own kind."""

    def timesteps(self, count: int, generator: "torch.Generator") -> "torch.Tensor":
        """Draw the timesteps of a training batch, (count,), on the CPU; nothing else is drawn from the generator."""

    def at(self, share: float) -> "torch.Tensor":
        """Return the timestep (no dimension, on the CPU) at a share of the way from picture (0) to noise (1)."""

    def add(
        self, latents: "torch.Tensor", noise: "torch.Tensor", timesteps: "torch.Tensor"
    ) -> "torch.Tensor":
        """Return the latents (rows, channels, height, width) with noise; timesteps (rows,) or (1,)."""

    def target(
        self, latents: "torch.Tensor", noise: "torch.Tensor", timesteps: "torch.Tensor"
    ) -> "torch.Tensor":
        """Return what the denoiser is to predict, in the latents' shape."""

    def min_snr_weights(self, timesteps: "torch.Tensor", gamma: float) -> "torch.Tensor":
        """Return what each row's loss counts with min_snr_gamma, (rows,), float32."""


class Sampling(Protocol):
    """The way of one batch from noise, or from noisy pictures, to pictures."""

    timesteps: "torch.Tensor"  # of the predictions that are asked for, in order

    def begin(self, origin: "torch.Tensor | None") -> "torch.Tensor":
        """Return the latents that it begins with: noise, or the latents `origin` with noise."""

    def model_input(self, latents: "torch.Tensor", timestep: "torch.Tensor") -> "torch.Tensor":
        """Return what the denoiser is to see; called once before each `step`."""

    def step(
        self, predicted: "torch.Tensor", timestep: "torch.Tensor", latents: "torch.Tensor"
    ) -> "torch.Tensor":
        """Return the latents after a step."""

    def noised(self, origin: "torch.Tensor", step: int) -> "torch.Tensor":
        """Return latents as noisy as they are before a step, numbered from 0; behind the last one without noise."""


class Family(Protocol):
    """A kind of base model: architecture, text encoders, noise process, latents and LoRA names."""

    name: str  # short, in lower case: sd1
    title: str  # for messages: Stable Diffusion 1.x

    # Settings.
    defaults: Settings  # what works best for it, where it is not the method's own
    fixed: Settings  # the only values that these settings can have with it; defaults too
    samplers: tuple[str, ...]  # of SAMPLERS, those that it can be drawn with
    prediction_types: tuple[PredictionType, ...]  # that project.prediction_type may say

    # Recognising a checkpoint, and what is known of it without loading it.
    def recognizes_folder(self, index: Mapping[str, Any], files: Files) -> bool:
        """Whether a folder in diffusers' layout is of this family.

        Args:
            index: its model_index.json.
            files: its files; of a hub model they may not be here yet.
        """

    def recognizes_file(self, header: Header) -> bool:
        """Whether a single-file checkpoint is of this family."""

    def shipped(self, name: str) -> Path:
        """Return the file that stands in for one that a single-file checkpoint lacks, such as `vae/config.json`."""

    def geometry(self, files: Files) -> Geometry:
        """Return the sizes. Raises KeyError or TypeError where the configuration does not tell them."""

    def prediction_type(self, files: Files, header: Header | None) -> PredictionType | None:
        """Return what the model itself says that it predicts; None: it cannot be another.

        Args:
            header: of a single-file checkpoint.
        """

    def vocabulary(self, files: Files) -> Vocabulary | None:
        """Return what its text encoders read; None: its files are not on this machine."""

    def load(self, spec: BaseModelSpec, content_hash: str, dtype: "torch.dtype") -> BaseModel:
        """Read the weights, on the CPU. Any exception of the libraries may come through; it is put into words."""

    def place(self, base: BaseModel, device: "torch.device") -> None:
        """Put a loaded model on a device, in the types and memory formats that it computes best in."""

    # Text.
    def length(self, base: BaseModel, prompt: Prompt, embeddings: Sequence[Embedding] = ()) -> int:
        """Return a prompt's length in the family's own unit; prompts of one length can share a batch."""

    def encode(
        self,
        base: BaseModel,
        prompts: Sequence[Prompt],
        length: int | None,
        clip_skip: int,
        embeddings: Sequence[Embedding] = (),
    ) -> Conditioning:
        """Encode prompts, a row each, with the text encoders as they are now, LoRA included; gradients flow.

        Args:
            length: fill up to this length; None, or less than they need: to the longest one's.
            clip_skip: see bootstrap.prompting.encode.
            embeddings: that spans may name; captions name none.
        """

    def tokens(self, base: BaseModel, captions: Sequence[str], length: int) -> "torch.Tensor":
        """Return the tokens of captions, int64, on the model's device; as many rows for each caption."""

    def encode_tokens(
        self, base: BaseModel, tokens: "torch.Tensor", length: int, clip_skip: int
    ) -> Conditioning:
        """Encode what `tokens` returned; gradients flow, and nothing depends on the tokens' values but through them."""

    def padded(self, parts: Sequence[Conditioning]) -> Conditioning:
        """Return the rows of several conditionings, those that are shorter filled up."""

    def unprompted(self, negative: Conditioning, empty: list[int]) -> Conditioning:
        """Return negative prompts as the denoiser is to see them; may change the tensors.

        Args:
            empty: the rows whose negative prompt has no text.
        """

    def embedding_vectors(
        self, tensors: "Mapping[str, NDArray[np.float32]]"
    ) -> "tuple[NDArray[np.float32], ...] | None":
        """Return an embedding file's tensors, one for each text encoder; None: it is none of this family.

        Raises:
            ValueError: it is, but has too many vectors; the message is one line.
        """

    # Latents.
    def encode_pixels(self, base: BaseModel, pixels: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        """Return mean and standard deviation of the latents of pixels (rows, 3, height, width) in -1..1, float32.

        Shift and scale are in them: they are what noise is added to.
        """

    def decode_latents(self, base: BaseModel, latents: "torch.Tensor") -> "torch.Tensor":
        """Return the pixels (rows, 3, height, width) of latents, float32, in -1..1 or a little beyond."""

    # Noise and the denoiser.
    def noise(self, base: BaseModel) -> NoiseProcess:
        """Return the noise process that it was trained with."""

    def sampling(
        self,
        base: BaseModel,
        sampler: str,
        steps: int,
        last: int | None,
        noise: "torch.Tensor",
        generators: "Sequence[torch.Generator]",
    ) -> Sampling:
        """Begin to draw a batch.

        Args:
            sampler: one of `samplers`.
            steps: of the whole schedule.
            last: how many of them are done, the last ones, from a picture; None: all, from noise.
            noise: (rows, channels, height, width), float32, on the model's device, of unit variance.
            generators: of each row, from which that noise was drawn; further noise comes from them.
        """

    def predict(
        self,
        base: BaseModel,
        latents: "torch.Tensor",
        timesteps: "torch.Tensor",
        conditioning: Conditioning,
    ) -> "torch.Tensor":
        """Return what the denoiser predicts, float32, in the latents' shape; timesteps (rows,) or one for all."""

    def activations(
        self, base: BaseModel, latents: "torch.Tensor", timestep: "torch.Tensor", conditioning: Conditioning
    ) -> "torch.Tensor":
        """Return what the middle of the denoiser makes of latents: (rows, features, height, width)."""

    def activation_count(self, base: BaseModel) -> int:
        """Return how many features `activations` has."""

    checkpointed: tuple[str, ...]  # classes of the blocks that gradient checkpointing computes again

    # LoRA files.
    lora_metadata: Mapping[
        str, str
    ]  # ss_base_model_version, modelspec.architecture, modelspec.implementation
    kohya_prefixes: tuple[str, ...]  # how kohya's names of the modules begin
    parts: tuple[str, ...]  # diffusers' names of the trained parts, the denoiser's first

    def owns_lora(self, names: Iterable[str]) -> bool:
        """Whether a LoRA with these names of modules or tensors, in any dialect, is of this family."""

    def lora_targets(self, base: BaseModel, convolutions: bool) -> "list[tuple[nn.Module, dict[str, str]]]":
        """Return each part with its {kohya's name: module path}, in the order of `parts`.

        Args:
            convolutions: those with larger kernels too (LoCon); a family without any leaves it aside.
        """

    def kohya_name(self, path: str, part: str) -> str:
        """Return kohya's name of the module at a path of a part."""

    def module_path(self, name: str) -> tuple[str, str]:
        """Return path and part of kohya's name. Raises ValueError where it is no name of this family."""

    def stem_path(self, stem: str) -> tuple[str, str]:
        """Return path and part of a tensor's name of diffusers or PEFT, without what names the matrix."""

    def matrix_names(self, part: str) -> tuple[str, str]:
        """Return what follows a module's path in diffusers' format: of the down matrix, and of the up matrix."""

    def part_title(self, name: str) -> str:
        """Return in words the part that kohya's name is of: UNet."""

    def kernel_size(self, name: str) -> int | None:
        """Return the kernel's side of the convolution that kohya's name is of; None: it is linear."""
