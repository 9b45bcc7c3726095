"""The settings of a project: what may stand in its `project.toml`, checked key by key.

Names are kohya's and AUTOMATIC1111's wherever they have one. Defaults are the method's for Stable Diffusion
checkpoints; a base model may bring its own (see `bootstrap.base_model.BaseModelSpec.defaults`).
"""

import difflib
import math
import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, get_args

import pydantic
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from bootstrap import captions
from bootstrap.checkpoint import PredictionType
from bootstrap.errors import UserError

Sampler = Literal["Euler a", "Euler", "DPM++ 2M Karras", "DDIM", "UniPC"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)


_MOST_IN_RANGE = 1000


def _span(default_step: float) -> Callable[[Any], Any]:
    """Return a reader of a number, a list of numbers or `{ from, to, step }` as a list of numbers."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return value if isinstance(value, list) else [value]
        numbers = {"step": default_step, **value}
        if set(numbers) != {"from", "to", "step"} or not all(map(_is_number, numbers.values())):
            raise ValueError("a range is written { from = 0.5, to = 0.7, step = 0.1 }")
        low, high, step = numbers["from"], numbers["to"], numbers["step"]
        if step <= 0 or high < low:
            raise ValueError("a range needs from <= to and step > 0")
        if (high - low) / step > _MOST_IN_RANGE:
            raise ValueError(f"a range has {_MOST_IN_RANGE} values at most: take a larger step")
        count = int((high - low) / step + 1e-6) + 1
        return [round(low + step * i, 6) for i in range(count)]

    return read


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


Strengths = Annotated[
    list[Annotated[float, Field(ge=0.0, le=2.0)]], BeforeValidator(_span(0.1)), Field(min_length=1)
]
_Epochs = Annotated[list[Annotated[int, Field(ge=1)]], BeforeValidator(_span(1)), Field(min_length=1)]
# A text can only be meant as "auto", and anything else only as epochs: a mistake is told of what was meant.
_TEXT, _NUMBERS = "<text>", "<numbers>"
Snapshots = Annotated[
    Annotated[Literal["auto"], pydantic.Tag(_TEXT)] | Annotated[_Epochs, pydantic.Tag(_NUMBERS)],
    Discriminator(lambda value: _TEXT if isinstance(value, str) else _NUMBERS),
]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ProjectSection(_Section):
    """`[project]`: what the project is about."""

    caption: str
    base_model: str = "papertown"
    prediction_type: PredictionType | None = None  # None: the base model's own

    @model_validator(mode="after")
    def _has_tags(self) -> "ProjectSection":
        if not captions.parse(self.caption):
            raise ValueError("caption is empty: name what the picture shows, as tags separated by commas")
        return self

    @property
    def tags(self) -> list[str]:
        """The caption's tags in order."""
        return captions.parse(self.caption)


class TrainingSection(_Section):
    """`[training]`: how the LoRA is trained, in kohya's words."""

    repeats: int = Field(20, ge=1, le=10_000)
    epochs: int = Field(6, ge=1, le=1000)
    max_train_steps: int | None = Field(None, ge=1, le=1_000_000)
    save_every_n_epochs: int = Field(1, ge=1)
    train_batch_size: int = Field(1, ge=1, le=64)
    network_dim: int = Field(64, ge=1, le=1024)
    network_alpha: float = Field(32, gt=0)
    unet_lr: float = Field(1e-4, ge=0, le=1)
    text_encoder_lr: float = Field(5e-5, ge=0, le=1)
    optimizer: Literal["AdamW", "AdamW8bit", "Prodigy"] = "AdamW"
    lr_scheduler: Literal["constant", "cosine", "linear"] = "constant"
    lr_warmup_steps: int = Field(0, ge=0)
    shuffle_caption: bool = False
    keep_tokens: int = Field(1, ge=0)
    caption_dropout_rate: float = Field(0.0, ge=0, le=1)
    caption_tag_dropout_rate: float = Field(0.0, ge=0, lt=1)
    max_token_length: Literal[75, 150, 225] = 225
    clip_skip: int = Field(1, ge=1, le=12)
    flip_aug: bool = False
    noise_offset: float = Field(0.0, ge=0, le=1)
    min_snr_gamma: float | None = Field(None, gt=0, le=100)
    gradient_checkpointing: bool = False
    resolution: int | None = Field(None, ge=64, le=4096)
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = (
        "auto"  # auto: bf16 or fp16 on a GPU, no on a CPU
    )
    seed: int = Field(42, ge=0, lt=2**32)
    reg_data_dir: str | None = Field(None, min_length=1)
    class_tokens: str | None = Field(None, min_length=1)
    num_class_images: int = Field(20, ge=1, le=10_000)
    prior_loss_weight: float = Field(1.0, ge=0, le=10)
    sample_prompts: list[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]] = []

    # What does not change the trained LoRA, or does so only through the pictures of the regularization.
    OF_NO_CONSEQUENCE: ClassVar[set[str]] = {
        "gradient_checkpointing", "reg_data_dir", "num_class_images", "sample_prompts"
    }  # fmt: skip

    @model_validator(mode="after")
    def _fits_together(self) -> "TrainingSection":
        if self.unet_lr == 0 and self.text_encoder_lr == 0:
            raise ValueError("unet_lr and text_encoder_lr are both 0: nothing would be trained")
        if self.resolution is not None and self.resolution % 8:
            raise ValueError(f"resolution {self.resolution} is no multiple of 8")
        if self.save_every_n_epochs > self.epochs:
            raise ValueError(
                f"save_every_n_epochs {self.save_every_n_epochs} is more than epochs {self.epochs}"
            )
        if self.max_train_steps is not None and self.max_train_steps < self.epochs:
            raise ValueError(
                f"max_train_steps {self.max_train_steps} is less than epochs {self.epochs}: each epoch needs a step"
            )
        rates = {rate for rate in (self.unet_lr, self.text_encoder_lr) if rate}
        if self.optimizer == "Prodigy" and len(rates) > 1:
            raise ValueError(
                'optimizer "Prodigy" finds the rate itself: set unet_lr and text_encoder_lr to 1, or one of them to 0'
            )
        return self

    @property
    def snapshots(self) -> list[int]:
        """The epochs whose LoRA is kept: every n-th and the last."""
        kept = range(self.save_every_n_epochs, self.epochs + 1, self.save_every_n_epochs)
        return sorted({*kept, self.epochs})


class DrawingSection(_Section):
    """`[drawing]`: what all shots have in common, in AUTOMATIC1111's words."""

    sampler: Sampler = "DPM++ 2M Karras"
    steps: int = Field(25, ge=1, le=150)
    cfg_scale: float = Field(7.0, ge=1.0, le=30.0)
    clip_skip: int | None = Field(None, ge=1, le=12)
    width: int | None = Field(None, ge=64, le=4096)
    height: int | None = Field(None, ge=64, le=4096)
    negative_prompt: str = ""
    batch_size: int = Field(8, ge=1, le=256)
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _sizes(self) -> "DrawingSection":
        for name in ("width", "height"):
            value = getattr(self, name)
            if value is not None and value % 8:
                raise ValueError(f"{name} {value} is no multiple of 8")
        return self


class DedupeSection(_Section):
    """`[dedupe]`: when two pictures are the same picture."""

    # Hashes only choose what is compared, so this is generous: of the same picture recompressed, brightened
    # by 5 % or cropped by 1 %, none was more than 8 bits away.
    distance: int = Field(8, ge=0, le=32)  # Hamming distance of two 64-bit pHashes, in bits
    # The pixels decide: recompressed, noisy and slightly brighter pictures differ by up to 0.06; candidates
    # that a person takes for the same one by up to 0.10; scenes of Paper Town in which the smallest thing was
    # exchanged by 0.12 or more.
    pixel_difference: float = Field(0.10, ge=0.0, le=1.0)  # RMS in the block that differs most


class CurationSection(_Section):
    """`[curation]`: what is measured of candidates, and which of them are put up."""

    embedder: str = Field("base", min_length=1)  # base: the base model's features; none; or a folder
    tagger: str | None = Field(None, min_length=1)  # a WD14-style .onnx file; Paper Town has its own
    hide_flawed: bool = True


class VaryRecipe(_Section):
    """Draw the whole caption at a strength that leaves the base model room."""

    kind: Literal["vary"] = "vary"
    count: int = Field(24, ge=1, le=100_000)
    strength: Strengths = [0.6]
    snapshot: Snapshots = [2, 3]
    negative_prompt: str = ""


class EliminateRecipe(_Section):
    """Leave tags out of the prompt; what they name goes. One tag a shot, all of them in turn."""

    kind: Literal["eliminate"] = "eliminate"
    tags: list[Tag] = []  # empty: every tag of the caption but the first
    count: int = Field(16, ge=1, le=100_000)
    strength: Strengths = [0.8]
    snapshot: Snapshots = [4]
    as_negative: bool = False  # put the eliminated tag into the negative prompt as well
    negative_prompt: str = ""


class AddRecipe(_Section):
    """Put tags into the prompt that the caption does not have. One a shot, all of them in turn."""

    kind: Literal["add"] = "add"
    tags: Annotated[list[Tag], Field(min_length=1)]
    count: int = Field(16, ge=1, le=100_000)
    strength: Strengths = [0.6]
    snapshot: Snapshots = [3, 4]
    negative_prompt: str = ""


class ReplaceRecipe(_Section):
    """Exchange one tag of the caption for others, all of them in turn."""

    kind: Literal["replace"] = "replace"
    tag: Tag
    by: Annotated[list[Tag], Field(min_length=1)]
    count: int = Field(16, ge=1, le=100_000)
    strength: Strengths = [0.6, 0.7]
    snapshot: Snapshots = [4]
    negative_prompt: str = ""


Recipe = Annotated[VaryRecipe | EliminateRecipe | AddRecipe | ReplaceRecipe, Field(discriminator="kind")]
_RECIPES: dict[str, type[BaseModel]] = {
    model.model_fields["kind"].default: model for model in get_args(get_args(Recipe)[0])
}


class Settings(_Section):
    """All of `project.toml`."""

    project: ProjectSection
    training: TrainingSection = TrainingSection()
    drawing: DrawingSection = DrawingSection()
    dedupe: DedupeSection = DedupeSection()
    curation: CurationSection = CurationSection()
    recipe: Annotated[list[Recipe], Field(min_length=1)] = [VaryRecipe(), EliminateRecipe()]

    @property
    def clip_skip(self) -> int:
        """What is drawn with: drawing's, else what was trained with."""
        return self.drawing.clip_skip or self.training.clip_skip

    @property
    def asks_adviser(self) -> bool:
        """Whether a recipe leaves its snapshot to the adviser."""
        return any(recipe.snapshot == "auto" for recipe in self.recipe)

    @model_validator(mode="after")
    def _recipes_fit(self) -> "Settings":
        saved = self.training.snapshots
        for recipe in self.recipe:
            asked = [] if recipe.snapshot == "auto" else recipe.snapshot
            missing = [epoch for epoch in asked if epoch not in saved]
            if missing:
                raise ValueError(
                    f"recipe '{recipe.kind}' asks for snapshot {missing[0]}, but training saves {saved}: "
                    "change snapshot, epochs or save_every_n_epochs"
                )
            _check_recipe_tags(recipe, self.project.tags)
        return self


def _check_recipe_tags(recipe: Recipe, caption_tags: list[str]) -> None:
    named = recipe.tags if isinstance(recipe, EliminateRecipe) else []
    if isinstance(recipe, ReplaceRecipe):
        named = [recipe.tag]
    for tag in named:
        if not any(captions.same_tag(tag, known) for known in caption_tags):
            raise ValueError(
                f"recipe '{recipe.kind}' names the tag '{tag}', which the caption does not have"
                f"{_nearest(tag, caption_tags)}"
            )
    if isinstance(recipe, EliminateRecipe) and not recipe.tags and len(caption_tags) < 2:
        raise ValueError(
            "recipe 'eliminate' needs a caption of two tags or more: there is nothing to leave out"
        )


def _nearest(word: str, known: list[str]) -> str:
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean '{match[0]}'?)" if match else ""


def parse(raw: dict[str, Any], source: str) -> Settings:
    """Check a parsed `project.toml` and return it as Settings.

    Args:
        raw: the TOML document as nested dicts.
        source: the file's name, for messages.

    Raises:
        UserError: one line that names the first wrong key, and for an unknown key the nearest valid one.
    """
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{source}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    # An unknown key explains missing ones (`captoin`), so it is told first.
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    problem = problems[0]
    kind, given = problem["type"], problem["input"]
    path = [str(part) for part in problem["loc"] if part not in (*_RECIPES, _TEXT, _NUMBERS)]
    name = re.sub(r"\.(\d+)", lambda found: f"[{int(found.group(1)) + 1}]", ".".join(path))
    if kind == "extra_forbidden":
        known = _keys_beside(problem["loc"])
        hint = _nearest(path[-1], known).strip(" ()") or f"valid here: {', '.join(known)}"
        told = f"unknown key '{name}', {hint}"
    elif kind == "missing":
        told = f"'{name}' is missing"
    elif kind in ("union_tag_not_found", "union_tag_invalid") and isinstance(given, dict):
        asked = str(given.get("kind", ""))
        wrong = f"unknown kind '{asked}'{_nearest(asked, list(_RECIPES))}" if asked else "it has no kind"
        told = f"'{name}': {wrong}; use {', '.join(_RECIPES)}"
    elif kind in ("model_type", "model_attributes_type"):
        told = f"'{name}' must be a table: [{name.split('[')[0]}] with keys below it"
    elif kind == "value_error":
        message = problem["msg"].removeprefix("Value error, ")
        told = f"'{name}': {message}" if name else message
    else:
        message = problem["msg"][0].lower() + problem["msg"][1:]
        shown = f" (it is {given!r})" if isinstance(given, str | int | float | bool) else ""
        told = f"'{name}': {message}{shown}"
    return " ".join(told.split())  # a key or a text may hold line breaks


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the section that an unknown key stands in."""
    section: type[BaseModel] = Settings
    if len(location) > 1:
        if location[0] == "recipe":
            section = _RECIPES[str(location[2])]
        else:
            section = type(Settings.model_fields[str(location[0])].default)
            if location[0] == "project":
                section = ProjectSection
    return list(section.model_fields)
