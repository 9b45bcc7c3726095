"""The recipe `inpaint`."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bootstrap import captions
from bootstrap.prompting import parse
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.needs import Box, Inputs, Needs, fitted_box
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.setting_types import (
    Count,
    DenoisingStrength,
    PromptText,
    Section,
    Snapshots,
    Strengths,
    Tag,
)
from bootstrap.shots import Mask, Shot, Start


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


class InpaintRecipe(Recipe):
    """Draw a part of the original anew, in one round or several, each on the picture of the one before."""

    has_other_strengths = True

    kind: Literal["inpaint"] = "inpaint"
    rounds: Annotated[list[InpaintRound], Field(min_length=1)]
    # A picture in the project's folder as large as the original, white where it is drawn.
    mask: Tag | None = None
    box: Box | None = None
    mask_blur: int = Field(4, ge=0, le=64)  # pixels of the drawn picture
    only_masked_padding: int | None = Field(None, ge=0, le=256)  # None: the whole picture is drawn
    denoising_strength: DenoisingStrength = 0.75
    count: Count = 8
    strength: Strengths = [0.8]  # where a round says no other
    snapshot: Snapshots = [4]

    @model_validator(mode="after")
    def _masks(self) -> "InpaintRecipe":
        if self.mask is not None and self.box is not None:
            raise ValueError("it has both mask and box: leave one out")
        if self.mask is None and self.box is None:
            for number, turn in enumerate(self.rounds, 1):
                if turn.mask is None and turn.box is None:
                    raise ValueError(
                        f"round {number} has no mask: set box = [x, y, width, height] in pixels of the original, or "
                        'mask = "mask.png"'
                    )
        return self

    def started_passes(self, steps: int) -> list[tuple[int, float]]:
        """Return all rounds."""
        return [(steps, turn.denoising_strength or self.denoising_strength) for turn in self.rounds]

    def needs(self) -> Needs:
        """Return the original and the masks of the rounds."""
        return Needs(original=True, areas=tuple(map(self._area_of, self.rounds)))

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return what the picture shows after the last round."""
        shown = captions.parse(self.rounds[-1].prompt)
        return [
            Idea(tuple(shown), tuple(captions.without(tags, shown)), tuple(captions.without(shown, tags)))
        ]

    def completed(self, shot: Shot, inputs: Inputs, negative_prompt: str) -> Shot:
        """Return the last round's shot, which starts from that of the round before, and the first from the original.

        Args:
            shot: has what all rounds share, and the strength of those that say no other.
            inputs: with the original and the masks.
            negative_prompt: the project's, which each round adds to.

        Raises:
            UserError: a box lies where the original is cropped away.
        """
        before: Shot | None = None
        for number, turn in enumerate(self.rounds):
            strength = shot.strength if turn.strength is None else turn.strength
            own = self.negative_prompt if turn.negative_prompt is None else turn.negative_prompt
            negatives = [
                tag for text in (negative_prompt, own) for tag in captions.parse(parse.without_comments(text))
            ]
            before = dataclasses.replace(
                shot,
                prompt=captions.join(captions.parse(turn.prompt)),
                negative_prompt=captions.join(negatives),
                seed=(shot.seed + number) % 2**32,
                loras=(dataclasses.replace(shot.loras[0], strength=strength),),
                start=Start(
                    denoising_strength=turn.denoising_strength or self.denoising_strength,
                    picture=None if before else inputs.original,
                    shot=before,
                    mask=self._mask_of(turn, shot, inputs),
                ),
            )
        assert before is not None
        return before

    def _area_of(self, turn: InpaintRound) -> str | Box:
        """The file or the box of a round: its own, else the recipe's."""
        for area in (turn.mask, turn.box, self.mask, self.box):
            if area is not None:
                return area
        raise ValueError("a round without a mask")

    def _mask_of(self, turn: InpaintRound, shot: Shot, inputs: Inputs) -> Mask:
        area = self._area_of(turn)
        blur = self.mask_blur if turn.mask_blur is None else turn.mask_blur
        if isinstance(area, str):
            return Mask(blur, picture=inputs.masks[area], padding=self.only_masked_padding)
        box = fitted_box(self.kind, area, inputs.original_size, (shot.width, shot.height))
        return Mask(blur, box=box, padding=self.only_masked_padding)
