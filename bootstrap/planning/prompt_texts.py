"""The texts that a shot's prompts are encoded as, over all steps of their schedules; needs no base model."""

from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.models.family import SECOND_ORDER, sampler_and_schedule
from bootstrap.prompting import parse
from bootstrap.prompting.parse import Scheduled
from bootstrap.shots import Shot


@dataclass(frozen=True)
class Row:
    """One prompt that a picture is drawn with: its whole prompt, or one part of an AND."""

    shot: int  # index in the batch
    weight: float
    schedule: list[Scheduled]

    def at(self, step: int) -> str:
        """Return the text at a step, numbered from 0; as in A1111, a text up to step n is used at index n too."""
        return next((entry.text for entry in self.schedule if step <= entry.end), self.schedule[-1].text)

    @property
    def texts(self) -> list[str]:
        """All texts of the schedule, each once."""
        return list(dict.fromkeys(entry.text for entry in self.schedule))


def texts_of(shot: Shot) -> list[str]:
    """Return all texts that a shot's prompts are encoded as, over all steps."""
    rows = [*rows_of([shot]), *(negative_rows([shot]) if is_guided([shot]) else [])]
    return list(dict.fromkeys(text for row in rows for text in row.texts))


def is_guided(shots: Sequence[Shot]) -> bool:
    """Return whether shots (of one guidance scale) are drawn with their negative prompts too."""
    return shots[0].cfg_scale > 1.0 or any(len(parse.parts(shot.prompt)) > 1 for shot in shots)


def rows_of(shots: Sequence[Shot]) -> list[Row]:
    """Return a row for each part of each shot's prompt."""
    rows = []
    for index, shot in enumerate(shots):
        text, networks = parse.extra_networks(shot.prompt)
        if any(network.is_lora for network in networks) and not any(use.in_prompt for use in shot.loras):
            raise RuntimeError(f"the LoRAs that the prompt '{shot.prompt}' names were not looked up")
        rows += [Row(index, part.weight, _schedule(part.text, shot)) for part in parse.parts(text)]
    return rows


def negative_rows(shots: Sequence[Shot]) -> list[Row]:
    """Return a row for each shot's negative prompt."""
    return [Row(index, 1.0, _schedule(shot.negative_prompt, shot)) for index, shot in enumerate(shots)]


def _schedule(text: str, shot: Shot) -> list[Scheduled]:
    first = shot.hires
    before = predictions(first.sampler, first.steps) if first else 0
    return parse.schedule(text, predictions(shot.sampler, shot.steps), before)


def predictions(sampler: str, steps: int) -> int:
    """Return how often the denoiser is called in this many steps, which a prompt's schedules count, as in A1111.

    Heun and DPM++ SDE call it twice a step, except in the last one.

    Args:
        sampler: one of bootstrap.models.family.SAMPLERS, or its older name with a schedule.

    Source: stable-diffusion-webui, modules/sd_samplers_kdiffusion.py, `second_order`.
    """
    return 2 * steps if sampler_and_schedule(sampler)[0] in SECOND_ORDER else steps
