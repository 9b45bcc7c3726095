"""The recipes of a project: what may stand in the `[[recipe]]` tables of its `project.toml`."""

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator, model_validator

from bootstrap import captions
from bootstrap.prompting import parse
from bootstrap.recipes.setting_types import Section, Snapshots, Strengths, Tag, nearest

Count = Annotated[int, Field(ge=1, le=100_000)]
DenoisingStrength = Annotated[float, Field(ge=0.05, le=1.0)]


def _multiple_of_8(side: int) -> int:
    if side % 8:
        raise ValueError(f"{side} is no multiple of 8")
    return side


def _aspect_ratio(text: str) -> str:
    found = re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", text.replace(" ", ""))
    if found is None or not 0.1 <= int(found[1]) / int(found[2]) <= 10:
        raise ValueError(
            f"'{text}' is no aspect ratio: write width:height, such as \"2:3\", within 1:10 to 10:1"
        )
    return text


def _without_comments(text: str) -> str:
    told = parse.without_comments(text).strip()
    if not told:
        raise ValueError(f"'{text}' is nothing but a comment: write something before the #, or take it out")
    return told


# What goes into a prompt as it is written, brackets and all; a comment in it is none of it. A tag of the caption is a
# name instead, in which # is a sign like others.
PromptText = Annotated[Tag, AfterValidator(_without_comments)]
Side = Annotated[int, Field(ge=64, le=4096), AfterValidator(_multiple_of_8)]
Box = tuple[  # x, y, width, height in pixels of the original
    Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)],
    Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)],
]  # fmt: skip


class VaryRecipe(Section):
    """Draw the whole caption at a strength that leaves the base model room."""

    kind: Literal["vary"] = "vary"
    count: int = Field(24, ge=1, le=100_000)
    strength: Strengths = [0.6]
    snapshot: Snapshots = [2, 3]
    negative_prompt: str = ""


class EliminateRecipe(Section):
    """Leave tags out of the prompt; what they name goes. One tag a shot, all of them in turn."""

    kind: Literal["eliminate"] = "eliminate"
    tags: list[Tag] = []  # empty: every tag of the caption but the first
    count: int = Field(16, ge=1, le=100_000)
    strength: Strengths = [0.8]
    snapshot: Snapshots = [4]
    as_negative: bool = False  # put the eliminated tag into the negative prompt as well
    negative_prompt: str = ""


class AddRecipe(Section):
    """Put tags into the prompt that the caption does not have. One a shot, all of them in turn."""

    kind: Literal["add"] = "add"
    tags: Annotated[list[PromptText], Field(min_length=1)]
    count: int = Field(16, ge=1, le=100_000)
    strength: Strengths = [0.6]
    snapshot: Snapshots = [3, 4]
    negative_prompt: str = ""


class ReplaceRecipe(Section):
    """Exchange one tag of the caption for others, all of them in turn."""

    kind: Literal["replace"] = "replace"
    tag: Tag
    by: Annotated[list[PromptText], Field(min_length=1)]
    count: int = Field(16, ge=1, le=100_000)
    strength: Strengths = [0.6, 0.7]
    snapshot: Snapshots = [4]
    negative_prompt: str = ""


class ReplicateRecipe(Section):
    """Draw the whole caption at full strength with a late snapshot: as near to the original as the LoRA comes."""

    kind: Literal["replicate"] = "replicate"
    count: Count = 8
    strength: Strengths = [1.0]
    snapshot: Snapshots = [6]
    negative_prompt: str = ""


class ReferenceRecipe(Section):
    """Let the base model lead, and the LoRA lend a few tags."""

    kind: Literal["reference"] = "reference"
    tags: list[Tag] = []  # of the caption; empty: the first, the subject
    prompts: list[PromptText] = []  # what the base model draws with them, one a shot, all of them in turn
    count: Count = 16
    strength: Strengths = [0.4, 0.5]
    snapshot: Snapshots = [2, 3]
    negative_prompt: str = ""


class ElementRecipe(Section):
    """Take one or some tags of the original into other scenes."""

    kind: Literal["element"] = "element"
    tags: Annotated[list[Tag], Field(min_length=1)]  # of the caption
    prompts: Annotated[list[PromptText], Field(min_length=1)]  # the scenes, one a shot, all of them in turn
    count: Count = 16
    strength: Strengths = [0.6, 0.7]
    snapshot: Snapshots = [4]
    negative_prompt: str = ""


class ResizeRecipe(Section):
    """Draw the whole caption at other sizes or proportions."""

    kind: Literal["resize"] = "resize"
    aspect_ratios: list[Annotated[str, AfterValidator(_aspect_ratio)]] = []  # "2:3"; as many pixels as usual
    sizes: list[tuple[Side, Side]] = []  # [width, height] in pixels
    count: Count = 16
    strength: Strengths = [0.7, 0.8]
    snapshot: Snapshots = [4]
    negative_prompt: str = ""

    @model_validator(mode="after")
    def _some(self) -> "ResizeRecipe":
        if not self.aspect_ratios and not self.sizes:
            raise ValueError('it needs aspect_ratios = ["2:3"] or sizes = [[512, 768]]')
        return self


class RestyleRecipe(Section):
    """Draw with another base model and this project's LoRA."""

    kind: Literal["restyle"] = "restyle"
    base_model: Tag  # as in [project]
    prompts: list[
        PromptText
    ] = []  # added to the caption, such as the style's trigger words, all of them in turn
    count: Count = 16
    strength: Strengths = [0.7, 0.8]
    snapshot: Snapshots = [4]
    negative_prompt: str = ""


class OtherLora(Section):
    """A LoRA besides the project's own: another project's, or a file."""

    lora: Tag  # a project's name, or the path of a .safetensors file
    strength: float = Field(0.7, ge=0.0, le=2.0)
    tags: list[Tag] = []  # what is taken from it: tags of that project's caption, or the file's words
    generation: int | None = Field(None, ge=1)  # of that project; None: the latest that is trained
    snapshot: int | None = Field(None, ge=1)  # of that project; None: the last

    @property
    def is_file(self) -> bool:
        """Whether it is a file, and no project."""
        return _is_file(self.lora)

    @field_validator("tags")
    @classmethod
    def _words_of_a_file(cls, tags: list[str], others: ValidationInfo) -> list[str]:
        return list(map(_without_comments, tags)) if _is_file(others.data.get("lora", "")) else tags


def _is_file(lora: str) -> bool:
    return lora.lower().endswith(".safetensors")


class ComposeRecipe(Section):
    """Draw with several LoRAs at once: two subjects, a subject and a style, two characters that interact."""

    kind: Literal["compose"] = "compose"
    loras: Annotated[list[OtherLora], Field(min_length=1)]
    tags: list[Tag] = []  # of this project's caption; empty: all
    prompts: list[PromptText] = []  # what they do or where they are, all of them in turn
    count: Count = 16
    strength: Strengths = [0.7]  # of this project's LoRA
    snapshot: Snapshots = [4]
    negative_prompt: str = ""


class HiresRecipe(Section):
    """Draw the whole caption, enlarge the picture, and draw it anew at that size: AUTOMATIC1111's Hires. fix."""

    kind: Literal["hires"] = "hires"
    hires_upscale: float = Field(2.0, gt=1.0, le=8.0)
    denoising_strength: float = Field(0.4, ge=0.01, le=1.0)
    hires_steps: int = Field(0, ge=0, le=150)  # 0: as many as in the first pass
    hires_cfg_scale: float | None = Field(None, ge=1.0, le=30.0)  # None: that of the first pass
    count: Count = 8
    strength: Strengths = [0.7, 0.8]
    snapshot: Snapshots = [4]
    negative_prompt: str = ""


class InpaintRound(Section):
    """One round of inpainting; what it leaves out, the recipe says."""

    prompt: PromptText  # the whole picture's, as in AUTOMATIC1111
    negative_prompt: str | None = None
    strength: float | None = Field(None, ge=0.0, le=2.0)  # of the LoRA
    denoising_strength: DenoisingStrength | None = None
    mask: Tag | None = None
    box: Box | None = None
    mask_blur: int | None = Field(None, ge=0, le=64)

    @model_validator(mode="after")
    def _one_mask(self) -> "InpaintRound":
        if self.mask is not None and self.box is not None:
            raise ValueError("it has both mask and box: leave one out")
        return self


class InpaintRecipe(Section):
    """Draw a part of the original anew, in one round or several, each on the picture of the one before."""

    kind: Literal["inpaint"] = "inpaint"
    rounds: Annotated[list[InpaintRound], Field(min_length=1)]
    mask: Tag | None = (
        None  # a picture in the project's folder as large as the original, white where it is drawn
    )
    box: Box | None = None
    mask_blur: int = Field(4, ge=0, le=64)  # pixels of the drawn picture
    only_masked_padding: int | None = Field(None, ge=0, le=256)  # None: the whole picture is drawn
    denoising_strength: DenoisingStrength = 0.75
    count: Count = 8
    strength: Strengths = [0.8]  # where a round says no other
    snapshot: Snapshots = [4]
    negative_prompt: str = ""

    @model_validator(mode="after")
    def _masks(self) -> "InpaintRecipe":
        if self.mask is not None and self.box is not None:
            raise ValueError("it has both mask and box: leave one out")
        if self.mask is None and self.box is None:
            for number, one in enumerate(self.rounds, 1):
                if one.mask is None and one.box is None:
                    raise ValueError(
                        f"round {number} has no mask: set box = [x, y, width, height] in pixels of the original, or "
                        'mask = "mask.png"'
                    )
        return self

    def mask_of(self, one: InpaintRound) -> str | Box:
        """The file or the box of a round: its own, else the recipe's."""
        for found in (one.mask, one.box, self.mask, self.box):
            if found is not None:
                return found
        raise ValueError("a round without a mask")


class Aspect(Section):
    """One thing that shall differ between the pictures of a dataset, such as the pose."""

    name: Tag
    tags: Annotated[list[PromptText], Field(min_length=1)]  # one a shot, all of them in turn
    instead_of: list[Tag] = []  # tags of the caption that make way
    quota: int = Field(1, ge=0, le=1000)  # shots of each round that change this alone


class BootstrapRecipe(Section):
    """Draw the subject in many poses, framings and places, by quotas: what a dataset needs."""

    kind: Literal["bootstrap"] = "bootstrap"
    aspects: Annotated[list[Aspect], Field(min_length=1)]
    mixed: int = Field(1, ge=0, le=1000)  # shots of each round that change all aspects at once
    unchanged: int = Field(0, ge=0, le=1000)  # shots of each round that draw the whole caption
    count: Count = 48
    strength: Strengths = [0.6, 0.7]
    snapshot: Snapshots = [3, 4]
    negative_prompt: str = ""

    @model_validator(mode="after")
    def _some(self) -> "BootstrapRecipe":
        if not sum(one.quota for one in self.aspects) + self.mixed + self.unchanged:
            raise ValueError("all its quotas are 0: nothing would be drawn")
        return self


Recipe = Annotated[
    VaryRecipe | EliminateRecipe | AddRecipe | ReplaceRecipe
    | ReplicateRecipe | ReferenceRecipe | ElementRecipe | ResizeRecipe | RestyleRecipe
    | ComposeRecipe | HiresRecipe | InpaintRecipe | BootstrapRecipe,
    Field(discriminator="kind"),
]  # fmt: skip
RECIPES: dict[str, type[BaseModel]] = {
    model.model_fields["kind"].default: model for model in get_args(get_args(Recipe)[0])
}


def check_tags(recipe: Recipe, caption_tags: list[str]) -> None:
    """Make sure that a project's caption has the tags that a recipe takes from it.

    Raises:
        ValueError: it has not, or there is nothing to leave out.
    """
    for tag in _tags_of_caption(recipe):
        check_tag(
            tag,
            caption_tags,
            f"recipe '{recipe.kind}' names the tag '{tag}', which the caption does not have",
        )
    if isinstance(recipe, EliminateRecipe) and not recipe.tags and len(caption_tags) < 2:
        raise ValueError(
            "recipe 'eliminate' needs a caption of two tags or more: there is nothing to leave out"
        )


def denoising_strengths(recipe: Recipe) -> list[float]:
    """Return those of all passes of a recipe that start from pictures."""
    if isinstance(recipe, HiresRecipe):
        return [recipe.denoising_strength]
    if isinstance(recipe, InpaintRecipe):
        return [one.denoising_strength or recipe.denoising_strength for one in recipe.rounds]
    return []


def check_tag(tag: str, caption_tags: list[str], refusal: str) -> None:
    """Make sure that a caption has a tag.

    Raises:
        ValueError: it has not: the refusal, and the tag that is nearest.
    """
    if not any(captions.same_tag(tag, known) for known in caption_tags):
        raise ValueError(f"{refusal}{nearest(tag, caption_tags)}")


def _tags_of_caption(recipe: Recipe) -> list[str]:
    if isinstance(recipe, EliminateRecipe | ReferenceRecipe | ElementRecipe | ComposeRecipe):
        return recipe.tags
    if isinstance(recipe, ReplaceRecipe):
        return [recipe.tag]
    if isinstance(recipe, BootstrapRecipe):
        return [tag for aspect in recipe.aspects for tag in aspect.instead_of]
    return []
