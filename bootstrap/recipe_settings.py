"""The recipes of a project: what may stand in the `[[recipe]]` tables of its `project.toml`."""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, Field

from bootstrap import captions
from bootstrap.setting_types import Section, Snapshots, Strengths, Tag, nearest


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
    tags: Annotated[list[Tag], Field(min_length=1)]
    count: int = Field(16, ge=1, le=100_000)
    strength: Strengths = [0.6]
    snapshot: Snapshots = [3, 4]
    negative_prompt: str = ""


class ReplaceRecipe(Section):
    """Exchange one tag of the caption for others, all of them in turn."""

    kind: Literal["replace"] = "replace"
    tag: Tag
    by: Annotated[list[Tag], Field(min_length=1)]
    count: int = Field(16, ge=1, le=100_000)
    strength: Strengths = [0.6, 0.7]
    snapshot: Snapshots = [4]
    negative_prompt: str = ""


Recipe = Annotated[VaryRecipe | EliminateRecipe | AddRecipe | ReplaceRecipe, Field(discriminator="kind")]
RECIPES: dict[str, type[BaseModel]] = {
    model.model_fields["kind"].default: model for model in get_args(get_args(Recipe)[0])
}


def check_tags(recipe: Recipe, caption_tags: list[str]) -> None:
    named = recipe.tags if isinstance(recipe, EliminateRecipe) else []
    if isinstance(recipe, ReplaceRecipe):
        named = [recipe.tag]
    for tag in named:
        if not any(captions.same_tag(tag, known) for known in caption_tags):
            raise ValueError(
                f"recipe '{recipe.kind}' names the tag '{tag}', which the caption does not have"
                f"{nearest(tag, caption_tags)}"
            )
    if isinstance(recipe, EliminateRecipe) and not recipe.tags and len(caption_tags) < 2:
        raise ValueError(
            "recipe 'eliminate' needs a caption of two tags or more: there is nothing to leave out"
        )
