"""The base of all kinds of recipes: the common settings, and the methods that a kind may override."""

from inspect import get_annotations
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from bootstrap import captions
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.needs import Inputs, Needs
from bootstrap.recipes.setting_types import AnyPrompt, Count, Section, Snapshots, Strengths, nearest
from bootstrap.shots import Shot


class Recipe(Section):
    """A `[[recipe]]` table. A kind's docstring is its purpose, which the app shows."""

    model_config = ConfigDict(
        defer_build=True
    )  # until the first recipe is read, so that the order below is set before

    # Which of the adviser's snapshots `snapshot = "auto"` stands for.
    advised: ClassVar[Literal["variation", "middle", "replication"]] = "middle"
    # Whether the ideas follow quotas: then they keep their order, whatever was picked most.
    by_quota: ClassVar[bool] = False
    # Whether a shot's LoRA may have another strength than the recipe's.
    has_other_strengths: ClassVar[bool] = False
    # The text that a new project's project.toml has for this kind; "": none.
    example: ClassVar[str] = ""

    kind: str
    count: Count
    strength: Strengths
    snapshot: Snapshots
    negative_prompt: AnyPrompt = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Put the settings into the order in which a kind declares them, inherited ones last.

        The app's form and messages follow this order, and so does the JSON that the shots' seeds are derived from.
        """
        own = get_annotations(cls)
        for name in [*own, *(name for name in cls.model_fields if name not in own)]:
            cls.model_fields[name] = cls.model_fields.pop(name)

    @classmethod
    def purpose(cls) -> str:
        """Return what the kind is for, as a sentence without its full stop."""
        return str(cls.__doc__).strip().rstrip(".")

    @property
    def tags_of_caption(self) -> list[str]:
        """The tags that the recipe names and the caption must have."""
        return []

    def check_caption(self, caption_tags: list[str]) -> None:
        """Make sure that a project's caption has the tags that the recipe names.

        Raises:
            ValueError: the caption lacks one of them.
        """
        for tag in self.tags_of_caption:
            refusal = f"recipe '{self.kind}' names the tag '{tag}', which the caption does not have"
            check_tag(tag, caption_tags, refusal)

    def started_passes(self, steps: int) -> list[tuple[int, float]]:
        """Return the steps and denoising strength of each pass that starts from a picture.

        Args:
            steps: drawing.steps.
        """
        return []

    def needs(self) -> Needs:
        """Return what the recipe needs besides the project's own LoRA."""
        return Needs()

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return the ideas, in the order in which they are taken in turn.

        Args:
            tags: the caption's tags.
            size: default width and height of the shots, in pixels.
            size_step: sides computed from an aspect ratio are multiples of this, in pixels.
        """
        return [Idea(tuple(tags))]

    def negatives_of(self, idea: Idea) -> list[str]:
        """Return what an idea adds to the negative prompt, in prompt syntax."""
        return []

    def completed(self, shot: Shot, inputs: Inputs, negative_prompt: str) -> Shot:
        """Return the shot of an idea with what only this kind has: another base model, more LoRAs, a start.

        Args:
            shot: the shot with the settings that all kinds have.
            inputs: what `needs` names.
            negative_prompt: the project's negative prompt.
        """
        return shot


def check_tag(tag: str, caption_tags: list[str], refusal: str) -> None:
    """Make sure that a caption has a tag.

    Raises:
        ValueError: the caption lacks the tag; the message is the refusal and the most similar tag.
    """
    if not any(captions.same_tag(tag, known) for known in caption_tags):
        raise ValueError(f"{refusal}{nearest(tag, caption_tags)}")
