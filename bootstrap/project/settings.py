"""The settings of a project: the keys and values that its `project.toml` may have.

Names follow kohya and AUTOMATIC1111 wherever these have one. Defaults are the method's, for Stable Diffusion
checkpoints; a base model may have its own (see `bootstrap.models.family.BaseModelSpec.defaults`).
"""

import re
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, ValidationError, model_validator

from bootstrap import captions
from bootstrap.errors import UserError
from bootstrap.models.checkpoint import PredictionType
from bootstrap.models.family import (
    AUTOMATIC,
    FLOW_SETTINGS,
    LCM_STEPS,
    FlowTraining,
    Sampler,
    Schedule,
    TimestepSampling,
    sampler_and_schedule,
)
from bootstrap.models.family import SAMPLERS as SAMPLERS
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.registry import RECIPES, USUAL, AnyRecipe
from bootstrap.recipes.setting_types import (
    NUMBERS,
    TEXT,
    AnyPrompt,
    CaptionTag,
    Section,
    Tag,
    nearest,
    within_limits,
)
from bootstrap.shot_limits import LEAST_CFG_SCALE, MOST_CFG_SCALE, MOST_CLIP_SKIP, MOST_STEPS

MOST_SHOTS = 100_000  # of a generation
_MOST_PLANNED = 100_000_000  # characters of all prompts of a generation
_MOST_PAIRS = 1000  # of strength and snapshot in a recipe
_MOST_SAMPLES = 1000  # pictures of sample prompts
LEAST_PRODIGY_RATE = 0.1  # Prodigy multiplies its own rate with this one, which is meant to be 1
_MOST_SHOWN = 1_000_000  # times that a training shows the original


class ProjectSection(Section):
    """`[project]`: what the project is about."""

    caption: str
    base_model: str = "papertown"
    prediction_type: PredictionType | None = None  # None: the base model's own

    @model_validator(mode="after")
    def _has_tags(self) -> "ProjectSection":
        if not captions.read(self.caption):
            raise ValueError("caption is empty: describe the picture with tags separated by commas")
        return self

    @property
    def tags(self) -> list[str]:
        """The caption's tags in order."""
        return captions.read(self.caption)


class TrainingSection(Section):
    """`[training]`: how the LoRA is trained, in kohya's words."""

    repeats: int = Field(20, ge=1, le=10_000)
    epochs: int = Field(6, ge=1, le=1000)
    max_train_steps: int | None = Field(None, ge=1, le=1_000_000)
    save_every_n_epochs: int = Field(1, ge=1, le=1000)
    train_batch_size: int = Field(1, ge=1, le=64)
    network_dim: int = Field(64, ge=1, le=1024)
    network_alpha: float = Field(32, gt=0, le=10_000)
    conv_dim: int | None = Field(None, ge=1, le=1024)  # a number makes it a LoCon
    conv_alpha: float = Field(1, gt=0, le=10_000)
    unet_lr: float = Field(1e-4, ge=0, le=1)
    text_encoder_lr: float = Field(5e-5, ge=0, le=1)
    optimizer: Literal["AdamW", "AdamW8bit", "Prodigy"] = "AdamW"
    lr_scheduler: Literal["constant", "cosine", "linear"] = "constant"
    lr_warmup_steps: int = Field(0, ge=0, le=1_000_000)
    shuffle_caption: bool = False
    keep_tokens: int = Field(1, ge=0, le=1000)
    caption_dropout_rate: float = Field(0.0, ge=0, le=1)
    caption_tag_dropout_rate: float = Field(0.0, ge=0, lt=1)
    max_token_length: Literal[75, 150, 225] = 225
    clip_skip: int = Field(1, ge=1, le=MOST_CLIP_SKIP)
    flip_aug: bool = False
    noise_offset: float = Field(0.0, ge=0, le=1)
    min_snr_gamma: float | None = Field(None, gt=0, le=100)
    # Of flow-matching models; None where a model does not match flows.
    timestep_sampling: TimestepSampling | None = None
    discrete_flow_shift: float | None = Field(None, gt=0, le=100)
    sigmoid_scale: float | None = Field(None, gt=0, le=100)
    logit_mean: float | None = Field(None, ge=-10, le=10)
    logit_std: float | None = Field(None, gt=0, le=10)
    weighting_scheme: Literal["none", "sigma_sqrt", "cosmap"] | None = None
    gradient_checkpointing: bool = False
    resolution: int | None = Field(None, ge=64, le=4096)
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = (
        "auto"  # auto: bf16 or fp16 on a GPU, no on a CPU
    )
    seed: int = Field(42, ge=0, lt=2**32)
    reg_data_dir: str | None = Field(None, min_length=1)
    class_tokens: AnyPrompt | None = Field(None, min_length=1)
    num_class_images: int = Field(20, ge=1, le=10_000)
    prior_loss_weight: float = Field(1.0, ge=0, le=10)
    sample_prompts: list[Annotated[Tag, AfterValidator(within_limits)]] = Field([], max_length=100)

    # Settings that do not change the trained LoRA, or only through the regularization's pictures.
    OF_NO_CONSEQUENCE: ClassVar[set[str]] = {
        "gradient_checkpointing", "reg_data_dir", "num_class_images", "sample_prompts"
    }  # fmt: skip

    @model_validator(mode="after")
    def _fits_together(self) -> "TrainingSection":
        if self.unet_lr == 0 and self.text_encoder_lr == 0:
            raise ValueError("unet_lr and text_encoder_lr are both 0: nothing would be trained")
        if self.resolution is not None and self.resolution % 8:
            raise ValueError(f"resolution {self.resolution} is not a multiple of 8")
        shown = self.repeats * self.epochs
        if shown > _MOST_SHOWN:
            raise ValueError(
                f"repeats {self.repeats} x epochs {self.epochs} shows the original {shown:,} times, {_MOST_SHOWN:,} at "
                "most"
            )
        samples = len(self.sample_prompts) * len(self.snapshots)
        if samples > _MOST_SAMPLES:
            raise ValueError(
                f"sample_prompts are drawn with each of {len(self.snapshots)} snapshots: {samples:,} pictures, "
                f"{_MOST_SAMPLES:,} at most"
            )
        if self.save_every_n_epochs > self.epochs:
            raise ValueError(
                f"save_every_n_epochs {self.save_every_n_epochs} is more than epochs {self.epochs}"
            )
        if self.max_train_steps is not None and self.max_train_steps < self.epochs:
            raise ValueError(
                f"max_train_steps {self.max_train_steps} is less than epochs {self.epochs}: each epoch needs a step"
            )
        if self.lr_warmup_steps >= self.least_steps:
            raise ValueError(self.warmup_problem(self.least_steps))
        if self.caption_dropout_rate == 1:
            raise ValueError(
                "caption_dropout_rate 1 drops the caption at every step: the LoRA would never see a word of it"
            )
        if self.conv_dim is not None and self.unet_lr == 0:
            raise ValueError(
                f"conv_dim {self.conv_dim} trains the UNet's convolutions, but unet_lr is 0: leave conv_dim out"
            )
        self._check_prodigy()
        return self

    def _check_prodigy(self) -> None:
        rates = {rate for rate in (self.unet_lr, self.text_encoder_lr) if rate}
        if self.optimizer != "Prodigy":
            return
        if len(rates) > 1:
            raise ValueError(
                'optimizer "Prodigy" finds the rate itself: set unet_lr and text_encoder_lr to 1, or one of them to 0'
            )
        if min(rates) < LEAST_PRODIGY_RATE:
            raise ValueError(
                f'optimizer "Prodigy" finds the rate itself and multiplies it with {min(rates):g}: set unet_lr and '
                f"text_encoder_lr to 1 (at least {LEAST_PRODIGY_RATE:g}), or one of them to 0"
            )

    @property
    def is_regularized(self) -> bool:
        """Whether class pictures follow the dataset's."""
        return self.class_tokens is not None or self.reg_data_dir is not None

    @property
    def least_steps(self) -> int:
        """The number of steps with the original alone; picks of later generations hardly change it."""
        if self.max_train_steps is not None:
            return self.max_train_steps
        of_epoch = -(-self.repeats // self.train_batch_size)
        return of_epoch * self.epochs * (2 if self.is_regularized else 1)

    def warmup_problem(self, steps: int) -> str:
        """Return the message about a warm-up that a training of so many steps does not outlast."""
        return (
            f"lr_warmup_steps {self.lr_warmup_steps} is not less than the training's {steps:,} steps: it would end "
            "before it reaches its learning rate; lower lr_warmup_steps, or raise epochs or repeats"
        )

    def recorded(self) -> dict[str, Any]:
        """Return the settings as files and catalogs record them: without those of flow models where a model is none."""
        return self.model_dump(exclude={name for name in FLOW_SETTINGS if getattr(self, name) is None})

    @property
    def flow(self) -> FlowTraining:
        """How a flow-matching model is trained; where a setting is None, by the general default."""
        given = {name: getattr(self, name) for name in FLOW_SETTINGS if getattr(self, name) is not None}
        return FlowTraining(**given)

    @property
    def snapshots(self) -> list[int]:
        """The epochs whose LoRA is saved: every n-th and the last."""
        saved = range(self.save_every_n_epochs, self.epochs + 1, self.save_every_n_epochs)
        return sorted({*saved, self.epochs})


class DrawingSection(Section):
    """`[drawing]`: what all shots have in common, in AUTOMATIC1111's words."""

    sampler: Sampler = "DPM++ 2M"
    schedule: Schedule = AUTOMATIC
    steps: int = Field(25, ge=1, le=MOST_STEPS)
    cfg_scale: float = Field(7.0, ge=LEAST_CFG_SCALE, le=MOST_CFG_SCALE)
    clip_skip: int | None = Field(None, ge=1, le=MOST_CLIP_SKIP)
    width: int | None = Field(None, ge=64, le=4096)
    height: int | None = Field(None, ge=64, le=4096)
    negative_prompt: AnyPrompt = ""
    batch_size: int = Field(8, ge=1, le=256)
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="before")
    @classmethod
    def _part_older_names(cls, values: Any) -> Any:
        """Accept A1111's older names of samplers, such as "DPM++ 2M Karras"."""
        if not isinstance(values, dict) or not isinstance(values.get("sampler"), str):
            return values
        sampler, schedule = sampler_and_schedule(values["sampler"])
        if schedule is None:
            return values
        if values.get("schedule", AUTOMATIC) not in (AUTOMATIC, schedule):
            raise ValueError(
                f'sampler "{values["sampler"]}" contradicts schedule "{values["schedule"]}"; use sampler "{sampler}"'
            )
        return values | {"sampler": sampler, "schedule": schedule}

    @model_validator(mode="after")
    def _fits_together(self) -> "DrawingSection":
        for name in ("width", "height"):
            value = getattr(self, name)
            if value is not None and value % 8:
                raise ValueError(f"{name} {value} is not a multiple of 8")
        if self.sampler == "LCM" and self.steps > LCM_STEPS:
            raise ValueError(
                f'sampler "LCM" takes at most {LCM_STEPS} steps, 4 to 8 work best (steps is {self.steps})'
            )
        return self


class DedupeSection(Section):
    """`[dedupe]`: when two pictures count as the same picture."""

    hash: Literal["phash", "dhash", "whash", "colorhash"] = "phash"  # of imagehash
    # Hashes only choose which pictures are compared: those that are this near. So the limit is generous: when the
    # same picture was recompressed, brightened by 20 % or cropped by 1 % on each side, its hash hardly ever moved by
    # more than 8 bits.
    distance: int = Field(
        8, ge=0, le=32
    )  # Hamming distance of two 64-bit hashes (a colorhash has 42), in bits
    # The pixels decide: recompressed, noisy and slightly brighter copies differ by up to 0.06, candidates that a
    # person takes for the same picture by up to 0.10, and scenes of Paper Town whose smallest object was exchanged
    # by 0.12 or more.
    pixel_difference: float = Field(0.10, ge=0.0, le=1.0)  # RMS in the block that differs most, 0 to 1


class CurationSection(Section):
    """`[curation]`: what is measured on candidates, and which of them are published for review."""

    embedder: str = Field("base", min_length=1)  # base: the base model's features; none; or a folder
    tagger: str | None = Field(None, min_length=1)  # a WD14-style .onnx file; Paper Town has its own
    hide_flawed: bool = True
    required_tags: list[CaptionTag] = []
    adaptive: bool = (
        True  # later generations draw more of what became picks; false: exactly what the recipes say
    )


class ReviewSection(Section):
    """`[review]`: the reasons that a reviewer can give for a reject."""

    # On the keys 1 to 9.
    reasons: list[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]] = (
        Field(["anatomy", "artifacts", "not the subject", "not the prompt", "style"], max_length=9)
    )


class Settings(Section):
    """The whole of `project.toml`."""

    project: ProjectSection
    training: TrainingSection = TrainingSection()
    drawing: DrawingSection = DrawingSection()
    dedupe: DedupeSection = DedupeSection()
    curation: CurationSection = CurationSection()
    review: ReviewSection = ReviewSection()
    recipe: Annotated[list[AnyRecipe], Field(min_length=1)] = list(USUAL)

    @property
    def clip_skip(self) -> int:
        """The clip_skip to draw with: drawing's, else training's."""
        return self.drawing.clip_skip or self.training.clip_skip

    @property
    def asks_adviser(self) -> bool:
        """Whether a recipe lets the adviser choose its snapshot."""
        return any(recipe.snapshot == "auto" for recipe in self.recipe)

    @model_validator(mode="after")
    def _recipes_fit(self) -> "Settings":
        self._check_amount()
        saved = self.training.snapshots
        for recipe in self.recipe:
            epochs = [] if recipe.snapshot == "auto" else recipe.snapshot
            missing = [epoch for epoch in epochs if epoch not in saved]
            if missing:
                raise ValueError(
                    f"recipe '{recipe.kind}' asks for snapshot {missing[0]}, but training saves {saved}: "
                    "change snapshot, epochs or save_every_n_epochs"
                )
            recipe.check_caption(self.project.tags)
            _check_schedule(recipe, self.drawing.steps)
        return self

    def _check_amount(self) -> None:
        """Check that the plan of a generation is of a size that can be drawn, before it is made."""
        total = sum(recipe.count for recipe in self.recipe)
        if total > MOST_SHOTS:
            raise ValueError(
                f"the recipes ask for {total:,} shots in all, {MOST_SHOTS:,} at most: lower their count"
            )
        characters = total * len(self.project.caption)
        if characters > _MOST_PLANNED:
            raise ValueError(
                f"{total:,} shots with a caption of {len(self.project.caption):,} characters are {characters:,} "
                f"characters, {_MOST_PLANNED:,} at most: lower the recipes' count, or shorten the caption"
            )
        for recipe in self.recipe:
            snapshots = 1 if recipe.snapshot == "auto" else len(recipe.snapshot)
            pairs = snapshots * len(recipe.strength)
            if pairs > _MOST_PAIRS:
                raise ValueError(
                    f"recipe '{recipe.kind}' has {pairs:,} pairs of strength and snapshot, {_MOST_PAIRS:,} at most"
                )


def _check_schedule(recipe: Recipe, steps: int) -> None:
    """Check that no pass needs more than the model's 1000 noise levels; weaker denoising needs a finer schedule."""
    for pass_steps, strength in sorted(recipe.started_passes(steps), key=lambda started: started[1]):
        if pass_steps / strength > 1000:
            raise ValueError(
                f"recipe '{recipe.kind}': {pass_steps} steps at denoising_strength {strength:g} are too many; "
                f"take at most {int(1000 * strength)}"
            )


def parse(raw: dict[str, Any], source: str) -> Settings:
    """Check a parsed `project.toml` and return it as Settings.

    Args:
        raw: the TOML document as nested dicts.
        source: the file's name, for messages.

    Raises:
        UserError: one line that names the first wrong key; for an unknown key, also the nearest valid one.
    """
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{source}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    # An unknown key explains a missing one (`captoin`), so it is reported first.
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    problem = problems[0]
    kind, value = problem["type"], problem["input"]
    path = [str(part) for part in problem["loc"] if part not in (*RECIPES, TEXT, NUMBERS)]
    name = re.sub(r"\.(\d+)", lambda index: f"[{int(index.group(1)) + 1}]", ".".join(path))
    if kind == "extra_forbidden":
        known = _keys_beside(problem["loc"])
        hint = nearest(path[-1], known).strip(" ()") or f"valid here: {', '.join(known)}"
        message = f"unknown key '{name}', {hint}"
    elif kind == "missing":
        message = f"'{name}' is missing"
    elif kind in ("union_tag_not_found", "union_tag_invalid") and isinstance(value, dict):
        recipe_kind = str(value.get("kind", ""))
        hint = nearest(recipe_kind, list(RECIPES))
        wrong = f"unknown kind '{recipe_kind}'{hint}" if recipe_kind else "it has no kind"
        message = f"'{name}': {wrong}; use {', '.join(RECIPES)}"
    elif kind in ("model_type", "model_attributes_type"):
        message = f"'{name}' must be a table: [{name.split('[')[0]}] with keys below it"
    elif kind == "value_error":
        reason = problem["msg"].removeprefix("Value error, ")
        message = f"'{name}': {reason}" if name else reason
    else:
        reason = problem["msg"][0].lower() + problem["msg"][1:]
        present = f" (it is {value!r})" if isinstance(value, str | int | float | bool) else ""
        message = f"'{name}': {reason}{present}"
    return " ".join(message.split())  # a key or a value may contain line breaks


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """Return the valid keys of the table that has the unknown key."""
    table: type[BaseModel] = Settings
    for part in location[:-1]:
        if part in RECIPES:
            table = RECIPES[str(part)]
        elif part in table.model_fields and part != "recipe":
            table = _table_of(table.model_fields[str(part)].annotation)
    return list(table.model_fields)


def _table_of(annotation: Any) -> type[BaseModel]:
    """Return the table type of a setting that is a table or a list of tables."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(_table_of(inner) for inner in get_args(annotation))
