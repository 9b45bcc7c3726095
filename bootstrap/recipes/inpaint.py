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
    AnyPrompt,
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
    """One round of inpainting; a setting that it leaves out is the recipe's."""

    prompt: PromptText  # describes the whole picture, as in AUTOMATIC1111
    negative_prompt: AnyPrompt | None = None
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
    """Redraw a part of the original, in one or several rounds, each on the picture of the round before."""

    has_other_strengths = True

    kind: Literal["inpaint"] = "inpaint"
    rounds: Annotated[list[InpaintRound], Field(min_length=1, max_length=32)]
    # A picture in the project's folder, as large as the original, white where it is redrawn.
    mask: Tag | None = None
    box: Box | None = None
    mask_blur: int = Field(4, ge=0, le=64)  # pixels of the drawn picture
    only_masked_padding: int | None = Field(None, ge=0, le=256)  # None: the whole picture is drawn
    denoising_strength: DenoisingStrength = 0.75
    count: Count = 8
    strength: Strengths = [0.8]  # of the rounds without their own
    snapshot: Snapshots = [4]

    @model_validator(mode="after")
    def _masks(self) -> "InpaintRecipe":
        if self.mask is not None and self.box is not None:
            raise ValueError("it has both mask and box: leave one out")
        if self.mask is None and self.box is None:
            for number, round_ in enumerate(self.rounds, 1):
                if round_.mask is None and round_.box is None:
                    raise ValueError(
                        f"round {number} has no mask: set box = [x, y, width, height] in pixels of the original, or "
                        'mask = "mask.png"'
                    )
        return self

    def started_passes(self, steps: int) -> list[tuple[int, float]]:
        """Return all rounds."""
        return [(steps, round_.denoising_strength or self.denoising_strength) for round_ in self.rounds]

    def needs(self) -> Needs:
        """Return the original and the masks of the rounds."""
        return Needs(original=True, areas=tuple(map(self._area_of, self.rounds)))

    def ideas(self, tags: list[str], size: tuple[int, int], size_step: int) -> list[Idea]:
        """Return what the picture shows after the last round."""
        last = captions.parse(self.rounds[-1].prompt)
        return [Idea(tuple(last), tuple(captions.without(tags, last)), tuple(captions.without(last, tags)))]

    def completed(self, shot: Shot, inputs: Inputs, negative_prompt: str) -> Shot:
        """Return the last round's shot; each round starts from the round before, the first from the original.

        Args:
            shot: what all rounds share, with the strength of the rounds without their own.
            inputs: the original and the masks.
            negative_prompt: the project's negative prompt; each round adds to it.

        Raises:
            UserError: a box lies where the original is cropped away.
        """
        before: Shot | None = None
        for number, round_ in enumerate(self.rounds):
            strength = shot.strength if round_.strength is None else round_.strength
            own = self.negative_prompt if round_.negative_prompt is None else round_.negative_prompt
            negatives = [
                tag for text in (negative_prompt, own) for tag in captions.parse(parse.without_comments(text))
            ]
            before = dataclasses.replace(
                shot,
                prompt=captions.join(captions.parse(round_.prompt)),
                negative_prompt=captions.join(negatives),
                seed=(shot.seed + number) % 2**32,
                loras=(dataclasses.replace(shot.loras[0], strength=strength),),
                start=Start(
                    denoising_strength=round_.denoising_strength or self.denoising_strength,
                    picture=None if before else inputs.original,
                    shot=before,
                    mask=self._mask_of(round_, shot, inputs),
                ),
            )
        assert before is not None
        return before

    def _area_of(self, round_: InpaintRound) -> str | Box:
        """Return the mask file or the box of a round, or else the recipe's."""
        for area in (round_.mask, round_.box, self.mask, self.box):
            if area is not None:
                return area
        raise ValueError("a round without a mask")

    def _mask_of(self, round_: InpaintRound, shot: Shot, inputs: Inputs) -> Mask:
        area = self._area_of(round_)
        blur = self.mask_blur if round_.mask_blur is None else round_.mask_blur
        if isinstance(area, str):
            return Mask(blur, picture=inputs.masks[area], padding=self.only_masked_padding)
        box = fitted_box(self.kind, area, inputs.original_size, (shot.width, shot.height))
        return Mask(blur, box=box, padding=self.only_masked_padding)
