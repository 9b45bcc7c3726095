"""The one seam: what a family of base models is. Nothing outside `models/families/` asks which family a model is of.

How to add a family:

1. Write `models/families/NAME.py` with an object that implements the protocol `Family` below. Code that families share
   goes into a module of its own, as stable_diffusion.py for sd1.py and sdxl.py. Importing the module must import
   neither torch nor diffusers nor transformers: plans and names need none of them.
2. Add the object to the list in `models/registry.py`. A test registers one temporarily:
   `with registry.registered(FAMILY): ...`.
3. Put configurations and tokenizers that a single-file checkpoint lacks into `models/configs/NAME/`.
4. If `models/checkpoint.py` lists the kind among those without a family, remove its line.

Training, drawing, the adviser, features, LoRA files, settings and plans then work with it unchanged. `fixed`,
`samplers` and `prediction_types` declare its limits; a setting beyond them is refused by name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
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


Sampler = Literal["Euler a", "Euler", "Heun", "DPM++ 2M", "DPM++ 2M SDE", "DPM++ SDE", "DDIM", "UniPC", "LCM"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)  # those of all families, by AUTOMATIC1111's names
LCM_STEPS = 50  # LCM's distillation divides the noise schedule into this many parts
SECOND_ORDER: tuple[Sampler, ...] = ("Heun", "DPM++ SDE")  # two predictions a step

Schedule = Literal[
    "Automatic", "Normal", "Karras", "Exponential", "SGM Uniform", "Simple", "Beta", "DDIM uniform"
]
SCHEDULES: tuple[str, ...] = get_args(Schedule)  # noise schedules, by AUTOMATIC1111's and ComfyUI's names
AUTOMATIC: Schedule = "Automatic"  # the sampler's own, as in AUTOMATIC1111, or what the base model demands

# Beside SAMPLERS, the samplers' names before schedules were a setting.
OLDER_NAMES = ("DPM++ 2M Karras", "DPM++ 2M SDE Karras", "DPM++ SDE Karras")


def sampler_and_schedule(name: str) -> tuple[str, str | None]:
    """Part a sampler's older name, such as "DPM++ 2M Karras", into sampler and schedule; None: it names no schedule."""
    for schedule in ("Karras", "Exponential"):
        if name.endswith(f" {schedule}") and name.removesuffix(f" {schedule}") in SAMPLERS:
            return name.removesuffix(f" {schedule}"), schedule
    return name, None


Files = Callable[[str], Path | None]
"""Finds a file of a base model, such as `unet/config.json`; None: it is not on this machine. It may not exist."""

Settings = Mapping[str, Mapping[str, Any]]
"""{section of project.toml: {key: value}}"""


@dataclass(frozen=True)
class BaseModelSpec:
    """A base model that was found, but not loaded yet."""

    name: str  # as in project.toml
    kind: Literal["embedded", "folder", "file", "hub"]
    source: str  # a path, or the hub id
    defaults: Settings = field(default_factory=dict, compare=False, hash=False)
    prediction_type: PredictionType | None = None  # set if the settings override the model's own
    other_prompts: tuple[str, ...] = field(default=(), compare=False)  # scenes that it knows, for the adviser
    tagger: str | None = field(default=None, compare=False)  # the tagger that is shipped with it
    local_only: bool = False  # a hub model that only a picture names: read from the cache, never downloaded

    @property
    def title(self) -> str:
        """The short name that infotext calls `Model`."""
        return Path(self.source).stem if self.kind == "file" else self.name.rstrip("/").rsplit("/", 1)[-1]


# flux_shift and flux2_shift shift by the picture's number of tokens.
TimestepSampling = Literal["uniform", "sigmoid", "shift", "flux_shift", "flux2_shift", "logit_normal"]


@dataclass(frozen=True)
class FlowTraining:
    """How a flow-matching model is trained, under the names of kohya's and musubi-tuner's settings."""

    timestep_sampling: TimestepSampling = "uniform"
    discrete_flow_shift: float = 1.0  # for `shift`; 1: none
    sigmoid_scale: float = 1.0  # of the normal variable, for `sigmoid` and the shifts
    logit_mean: float = 0.0  # of the normal variable, for `logit_normal`
    logit_std: float = 1.0
    weighting_scheme: Literal["none", "sigma_sqrt", "cosmap"] = "none"


FLOW_SETTINGS: tuple[str, ...] = tuple(entry.name for entry in fields(FlowTraining))


@dataclass(frozen=True)
class Geometry:
    """The sizes of pictures and latents that a base model is made for."""

    resolution: int  # side of the square pictures that it was made for, in pixels
    size_step: int  # width and height of a picture are multiples of this, in pixels
    latent_factor: int  # pixels of a picture per latent pixel, along each side
    latent_channels: int  # latents are (channels, height / latent_factor, width / latent_factor)
    least_step: int | None = None  # where the denoiser takes no sides but multiples of this, in pixels

    @property
    def side_step(self) -> int:
        """What width and height must be multiples of, in pixels, for the model to take them at all."""
        return self.least_step or self.latent_factor


@dataclass
class BaseModel:
    """The parts of a loaded base model, frozen, in evaluation mode."""

    spec: BaseModelSpec
    hash: str  # SHA-256, see bootstrap.models.specs.content_hash
    family: "Family"
    geometry: Geometry
    denoiser: "nn.Module"  # trained, and called at each step; a UNet, a transformer
    vae: "nn.Module | None"  # None: the family's latents need no weights
    text_encoders: "list[nn.Module]"  # in the order of the family's `parts`
    tokenizers: list[Any]
    scheduler_config: dict[str, Any]  # of the model's noise process, in the family's own form

    @property
    def modules(self) -> "list[nn.Module]":
        """All parts that have weights: the denoiser, the VAE, the text encoders."""
        return [self.denoiser, *([] if self.vae is None else [self.vae]), *self.text_encoders]

    @property
    def device(self) -> "torch.device":
        """The device of the weights."""
        return next(self.denoiser.parameters()).device  # diffusers' property visits all modules, 2 ms

    @property
    def dtype(self) -> "torch.dtype":
        """The dtype of the denoiser's weights."""
        return next(self.denoiser.parameters()).dtype

    @cached_property
    def is_small(self) -> bool:
        """Whether the denoiser has under 50 M parameters: a step is many tiny operations, and fits into any machine."""
        return sum(parameter.numel() for parameter in self.denoiser.parameters()) < 50_000_000

    @property
    def prediction_type(self) -> PredictionType | None:
        """What it predicts; None: its family has only one kind."""
        configured: PredictionType = self.scheduler_config.get("prediction_type", "epsilon")
        return configured if configured in self.family.prediction_types else None

    @property
    def latent_factor(self) -> int:
        """Pixels of a picture per latent pixel, along each side."""
        return self.geometry.latent_factor

    @property
    def size_step(self) -> int:
        """Width and height of a picture are multiples of this, in pixels."""
        return self.geometry.size_step

    @property
    def resolution(self) -> int:
        """Side of the square pictures that the model was made for, in pixels."""
        return self.geometry.resolution


@dataclass(frozen=True)
class FileModule:
    """A module of the model's own release, and so of LoRA files, that has other rows or another name than ours."""

    name: str  # kohya's
    path: str  # with dots
    own_names: tuple[
        str, ...
    ]  # kohya's names of ours; of several, each has an equal share of the rows, in this order
    halves_swapped: bool = False  # ours has the second half of the rows first


class Vocabulary(Protocol):
    """What a base model's text encoders can read; available without loading them."""

    @property
    def widths(self) -> tuple[int, ...]:
        """The vector width of each text encoder, which an embedding must match."""

    @property
    def chunk_tokens(self) -> int | None:
        """The number of tokens beyond which a caption is divided into chunks; None: captions stay whole."""

    def count(self, text: str) -> int:
        """Return the number of tokens in a caption, without start and end token."""

    def embeddings_in(self, prompt: Prompt, embeddings: Sequence[Embedding]) -> set[Embedding]:
        """Return the embeddings that a prompt names."""


class NoiseProcess(Protocol):
    """How training adds noise, and the denoiser's target. The type and range of timesteps are the family's own."""

    def timesteps(self, count: int, generator: "torch.Generator", size: tuple[int, int]) -> "torch.Tensor":
        """Sample the timesteps of a training batch, (count,), on the CPU.

        Args:
            generator: nothing else is drawn from it afterwards but what follows in the batch.
            size: height and width of the latents.
        """

    def at(self, share: float) -> "torch.Tensor":
        """Return the timestep (a scalar on the CPU) at a fraction of the way from picture (0) to noise (1)."""

    def add(
        self, latents: "torch.Tensor", noise: "torch.Tensor", timesteps: "torch.Tensor"
    ) -> "torch.Tensor":
        """Return the latents (rows, channels, height, width) with noise added; timesteps (rows,) or (1,)."""

    def target(
        self, latents: "torch.Tensor", noise: "torch.Tensor", timesteps: "torch.Tensor"
    ) -> "torch.Tensor":
        """Return the target of the denoiser's prediction, in the latents' shape."""

    def loss_weights(self, timesteps: "torch.Tensor", min_snr_gamma: float | None) -> "torch.Tensor | None":
        """Return each row's loss weight, (rows,), float32; None: all are 1."""


class Sampling(Protocol):
    """Sampling of one batch, from noise or from noisy pictures to pictures."""

    timesteps: "torch.Tensor"  # of the predictions, in order

    def begin(self, origin: "torch.Tensor | None") -> "torch.Tensor":
        """Return the initial latents: noise, or the latents `origin` with noise added."""

    def model_input(self, latents: "torch.Tensor", timestep: "torch.Tensor") -> "torch.Tensor":
        """Return the denoiser's input; called once before each `step`."""

    def step(
        self, predicted: "torch.Tensor", timestep: "torch.Tensor", latents: "torch.Tensor"
    ) -> "torch.Tensor":
        """Return the latents after a step."""

    def noised(self, origin: "torch.Tensor", step: int) -> "torch.Tensor":
        """Return `origin` with the noise level before a step, numbered from 0; after the last step, without noise."""


class Family(Protocol):
    """A kind of base model: architecture, text encoders, noise process, latents and LoRA names."""

    name: str  # short, in lower case: sd1
    title: str  # for messages: Stable Diffusion 1.x

    # Settings.
    defaults: Settings  # those that differ from the project's general defaults
    fixed: Settings  # the only values that it supports for these settings; also their defaults
    samplers: tuple[str, ...]  # those of SAMPLERS that it supports
    schedules: tuple[str, ...]  # those of SCHEDULES that it supports, Automatic always
    prediction_types: tuple[PredictionType, ...]  # allowed values of project.prediction_type

    # Recognizing a checkpoint, and its properties without loading it.
    def recognizes_folder(self, index: Mapping[str, Any], files: Files) -> bool:
        """Whether a folder in diffusers' layout is of this family.

        Args:
            index: its model_index.json.
            files: its files; those of a hub model may not be downloaded yet.
        """

    def recognizes_file(self, header: Header) -> bool:
        """Whether a single-file checkpoint is of this family."""

    def shipped(self, name: str) -> Path:
        """Return our own copy of a file that a single-file checkpoint lacks, such as `vae/config.json`."""

    def geometry(self, files: Files) -> Geometry:
        """Return the sizes. Raises KeyError or TypeError if the configuration lacks them."""

    def most_clip_skip(self, files: Files) -> int | None:
        """Return the number of layers that clip_skip chooses among; None: the family always reads the same one."""

    def prediction_type(self, files: Files, header: Header | None) -> PredictionType | None:
        """Return the prediction type that the model's own files state; None: the family has only one kind.

        Args:
            header: of a single-file checkpoint.
        """

    def vocabulary(self, files: Files) -> Vocabulary | None:
        """Return the text encoders' vocabulary; None: its files are not on this machine."""

    def load(self, spec: BaseModelSpec, content_hash: str, dtype: "torch.dtype") -> BaseModel:
        """Load the weights on the CPU. Libraries' exceptions may propagate; the caller turns them into messages."""

    def place(self, base: BaseModel, device: "torch.device") -> None:
        """Move a loaded model to a device, in the dtypes and memory formats that are best there."""

    # Text.
    def check_prompt(self, prompt: Prompt, files: Files) -> None:
        """Make sure that the text encoders can read a prompt, or a caption, without loading them.

        Raises:
            ValueError: they cannot: it has syntax that they do not know, or is too long; the message is one line.
        """

    def length(self, base: BaseModel, prompt: Prompt, embeddings: Sequence[Embedding] = ()) -> int:
        """Return a prompt's length in the family's own unit; prompts of equal length can share a batch."""

    def encode(
        self,
        base: BaseModel,
        prompts: Sequence[Prompt],
        length: int | None,
        clip_skip: int,
        embeddings: Sequence[Embedding] = (),
    ) -> Conditioning:
        """Encode prompts, one row each, with the text encoders' current weights, any LoRA included; gradients flow.

        Args:
            length: pad to this length; None, or less than the prompts need: to the longest prompt's.
            clip_skip: see bootstrap.prompting.encode.
            embeddings: those that spans may name; a caption names none.
        """

    def tokens(self, base: BaseModel, captions: Sequence[str], length: int) -> "torch.Tensor":
        """Return the tokens of captions, int64, on the model's device; the same number of rows for each caption."""

    def encode_tokens(
        self, base: BaseModel, tokens: "torch.Tensor", length: int, clip_skip: int
    ) -> Conditioning:
        """Encode the result of `tokens`; gradients flow, and control flow does not depend on the tokens' values."""

    def padded(self, parts: Sequence[Conditioning]) -> Conditioning:
        """Concatenate the rows of conditionings, padding the shorter ones."""

    def unprompted(self, negative: Conditioning, empty: list[int]) -> Conditioning:
        """Return the negative prompts' conditioning for the denoiser; may change the tensors in place.

        Args:
            empty: the rows whose negative prompt has no text.
        """

    def embedding_vectors(
        self, tensors: "Mapping[str, NDArray[np.float32]]"
    ) -> "tuple[NDArray[np.float32], ...] | None":
        """Return an embedding file's tensors, one per text encoder; None: the file is not of this family.

        Raises:
            ValueError: it is of this family, but malformed or with too many vectors; the message is one line.
        """

    # Latents.
    def encode_pixels(self, base: BaseModel, pixels: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        """Return mean and standard deviation of the latents of pixels (rows, 3, height, width) in -1..1, float32.

        Shift and scale are applied: noise is added to these latents.
        """

    def decode_latents(self, base: BaseModel, latents: "torch.Tensor") -> "torch.Tensor":
        """Return the pixels (rows, 3, height, width) of latents, float32, in -1..1 or a little beyond."""

    # Noise and the denoiser.
    def noise(self, base: BaseModel, flow: FlowTraining | None = None) -> NoiseProcess:
        """Return the noise process that the model was trained with.

        Args:
            flow: the training's settings; a family that does not match flows ignores them.
        """

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
        """Return the sampling of one batch.

        Args:
            sampler: one of `samplers`.
            schedule: one of `schedules`; empty: of a shot that was made before schedules were a setting.
            steps: of the whole schedule.
            last: take only this many last steps, from a picture; None: all, from noise.
            noise: (rows, channels, height, width), float32, on the model's device, of unit variance.
            generators: of each row; `noise` was drawn from them, and further noise is.
        """

    def step_sigmas(
        self, spec: BaseModelSpec, files: Files, sampler: str, schedule: str, steps: int
    ) -> list[float]:
        """Return the noise level before each step of a whole sampling, and the last one's, without loading the model.

        Args:
            spec: of the base model.
            files: its files.
            sampler: one of `samplers`.
            schedule: one of `schedules`.
            steps: from 1.
        """

    def predict(
        self,
        base: BaseModel,
        latents: "torch.Tensor",
        timesteps: "torch.Tensor",
        conditioning: Conditioning,
    ) -> "torch.Tensor":
        """Return the denoiser's prediction, float32, in the latents' shape; timesteps (rows,) or one for all."""

    def activations(
        self, base: BaseModel, latents: "torch.Tensor", timestep: "torch.Tensor", conditioning: Conditioning
    ) -> "torch.Tensor":
        """Return the activations in the middle of the denoiser, (rows, features, height, width)."""

    def activation_count(self, base: BaseModel) -> int:
        """Return the number of features of `activations`."""

    checkpointed: tuple[str, ...]  # classes of the blocks that gradient checkpointing recomputes

    # LoRA files.
    lora_family: str  # families of the same name take each other's LoRAs
    lora_metadata: Mapping[
        str, str
    ]  # ss_base_model_version, modelspec.architecture, modelspec.implementation
    kohya_prefixes: tuple[str, ...]  # of kohya's module names
    parts: tuple[str, ...]  # diffusers' names of the trained parts, the denoiser first

    def owns_lora(self, names: Iterable[str]) -> bool:
        """Whether a LoRA with these names of modules or tensors is of this family.

        Names are kohya's, and those of other dialects unless the family has the name of a kind in lora_kinds.
        """

    def lora_targets(self, base: BaseModel, convolutions: bool) -> "list[tuple[nn.Module, dict[str, str]]]":
        """Return each part with its {kohya's name: module path}, in the order of `parts`.

        Args:
            convolutions: include those with larger kernels (LoCon); ignored by a family without convolutions.
        """

    def kohya_name(self, path: str, part: str) -> str:
        """Return kohya's name of the module at a path within a part."""

    def module_path(self, name: str) -> tuple[str, str]:
        """Return path and part for a kohya name. Raises ValueError if it is not a name of this family."""

    def stem_path(self, stem: str) -> tuple[str, str]:
        """Return path and part for a tensor name of diffusers or PEFT, given without the suffix for the matrix.

        Raises ValueError if it is not a name of this family.
        """

    def file_module(self, name: str) -> FileModule | None:
        """Return the module of files in kohya's format that a module's name belongs to, ours or the file's.

        None: files have the same modules, under the same names. Raises ValueError as module_path does.
        """

    def comfyui_module(self, name: str) -> FileModule | None:
        """Return the same for files with ComfyUI's paths; None: ComfyUI loads the family's LoRAs in kohya's format."""

    def matrix_names(self, part: str) -> tuple[str, str]:
        """Return the suffixes that follow a module's path in diffusers' format: (down matrix, up matrix)."""

    def part_title(self, name: str) -> str:
        """Return a readable name for the part of a kohya name, such as "UNet"."""

    def kernel_size(self, name: str) -> int | None:
        """Return the kernel's side for a kohya name of a convolution; None: the module is linear."""
