"""The prompts of a batch: encode them, follow their schedules, and combine the parts of an AND."""

from collections.abc import Sequence

import torch

from bootstrap.models import small_cpu
from bootstrap.models.conditioning import Conditioning, joined
from bootstrap.models.family import BaseModel
from bootstrap.planning.prompt_texts import Row, is_guided, negative_rows, rows_of
from bootstrap.prompting import encode
from bootstrap.prompting.embeddings import held
from bootstrap.shots import Shot

Lengths = tuple[int, tuple[int, ...]]
"""Lengths of a shot's negative prompt (0: drawn without one) and of each part of its prompt, in the family's unit."""


def lengths(base: BaseModel, shot: Shot) -> Lengths:
    """Return the lengths of a shot's negative prompt and of each part of its prompt, the longest over all steps.

    As in AUTOMATIC1111, the texts of one schedule are padded to the longest of them, and a negative prompt is not
    padded to the length of the prompt.
    """
    embeddings = [held(use) for use in shot.embeddings]

    def longest(row: Row) -> int:
        return max(encode.length_of(base, text, embeddings) for text in row.texts)

    negative = longest(negative_rows([shot])[0]) if is_guided([shot]) else 0
    return negative, tuple(longest(row) for row in rows_of([shot]))


Encoded = tuple[str, int]
"""A text, and the length that it is padded to."""


class Prompts:
    """The prompts of a batch of shots with the same lengths, guidance scale, steps, clip skip and embeddings."""

    def __init__(
        self, base: BaseModel, shots: Sequence[Shot], lengths: Lengths, encoded: dict[Encoded, Conditioning]
    ) -> None:
        """Split the prompts into parts; nothing is encoded yet.

        Args:
            lengths: those of every shot.
            encoded: texts that earlier batches have encoded with the same LoRAs; new texts are added.
        """
        self._base, self._shots = base, shots
        self._guided = is_guided(shots)
        self._rows = rows_of(shots)
        self._negative = negative_rows(shots) if self._guided else []
        self._of_rows = torch.tensor([row.shot for row in self._rows], device=base.device)
        self._weights = torch.tensor([row.weight for row in self._rows], device=base.device)[
            :, None, None, None
        ]
        self._negative_length, self._lengths = lengths
        self._encoded = encoded
        self._joined: dict[tuple[str, ...], list[Conditioning]] = {}

    def predicted(self, latents: torch.Tensor, timestep: torch.Tensor, step: int) -> torch.Tensor:
        """Return the guided prediction of each picture.

        Args:
            latents: (batch, channels, height, width), as the sampler passes them to the denoiser.
            step: numbered from 0.
        """
        rows = torch.cat([latents, latents[self._of_rows]]) if self._guided else latents[self._of_rows]
        conditionings = self._at(step)
        parts = rows.split([len(conditioning.states) for conditioning in conditionings])
        predictions = [
            small_cpu.predict(self._base, part, timestep, conditioning)
            for part, conditioning in zip(parts, conditionings, strict=True)
        ]
        return self._combined(torch.cat(predictions))

    def _at(self, step: int) -> list[Conditioning]:
        """Return the conditioning of the rows at a step, negative prompts first, joined if the lengths are equal."""
        negative = [(row.at(step), self._negative_length) for row in self._negative]
        parts = len(self._lengths)
        positive = [(row.at(step), self._lengths[index % parts]) for index, row in enumerate(self._rows)]
        texts = tuple(text for text, _ in [*negative, *positive])
        if texts not in self._joined:
            self._encode([*negative, *positive])
            rows = self._base.family.padded([self._encoded[key] for key in positive])
            if not negative:
                self._joined[texts] = [rows]
                return [rows]
            empty = [row for row, (text, _) in enumerate(negative) if not text]
            without = self._base.family.unprompted(joined([self._encoded[key] for key in negative]), empty)
            same = without.states.shape[1] == rows.states.shape[1]
            self._joined[texts] = [joined([without, rows])] if same else [without, rows]
        return self._joined[texts]

    def _encode(self, wanted: Sequence[Encoded]) -> None:
        first = self._shots[0]
        missing = [key for key in dict.fromkeys(wanted) if key not in self._encoded]
        for length in dict.fromkeys(length for _, length in missing):
            texts = [text for text, text_length in missing if text_length == length]
            encoded = encode.encode_prompts(
                self._base,
                texts,
                length=length,
                clip_skip=first.clip_skip,
                embeddings=[held(use) for use in first.embeddings],
            )
            for row, text in enumerate(texts):
                pooled = None if encoded.pooled is None else encoded.pooled[row : row + 1]
                self._encoded[text, length] = Conditioning(encoded.states[row : row + 1], pooled)

    def _combined(self, predicted: torch.Tensor) -> torch.Tensor:
        """Return the guided prediction of each picture (batch, ...) from the predictions of the rows.

        Parts are combined as in Liu et al. 2022 (arXiv 2206.01714): each part moves away from the negative prompt
        with its own weight.
        """
        if not self._guided:
            return predicted
        without, rows = predicted[: len(self._negative)], predicted[len(self._negative) :]
        moved = self._weights * (rows - without[self._of_rows])
        direction = torch.zeros_like(without).index_add_(0, self._of_rows, moved)
        return without + self._shots[0].cfg_scale * direction
