"""The prompts of a batch: encoded, followed through their schedules, and put together where AND says so."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bootstrap.base_model import BaseModel
from bootstrap.conditioning import Conditioning, joined
from bootstrap.drawing.samplers import predictions
from bootstrap.prompting import encode, parse
from bootstrap.prompting.chunks import chunks_of
from bootstrap.prompting.embeddings import held
from bootstrap.prompting.parse import Scheduled
from bootstrap.shots import Shot


@dataclass(frozen=True)
class _Row:
    """One prompt that a picture is drawn with: its whole prompt, or a part of it."""

    shot: int  # index in the batch
    weight: float
    schedule: list[Scheduled]

    def at(self, step: int) -> str:
        """The text at a step, numbered from 0; a text that ends with step n is still used at index n, as in A1111."""
        return next((one.text for one in self.schedule if step <= one.end), self.schedule[-1].text)


def chunk_count(base: BaseModel, shot: Shot) -> int:
    """Return how many chunks the longest of a shot's texts needs."""
    embeddings = [held(use) for use in shot.embeddings]
    return max(len(chunks_of(base.tokenizer, text, embeddings)) for text in texts_of(shot))


def texts_of(shot: Shot) -> list[str]:
    """Return every text that a shot's prompts are encoded as, at one step or another."""
    rows = [*_rows([shot]), *(_negative_rows([shot]) if is_guided([shot]) else [])]
    return list(dict.fromkeys(one.text for row in rows for one in row.schedule))


def is_guided(shots: Sequence[Shot]) -> bool:
    """Whether a group of shots (of one cfg scale) is drawn with negative prompts too."""
    return shots[0].cfg_scale > 1.0 or any(len(parse.parts(shot.prompt)) > 1 for shot in shots)


class Prompts:
    """The prompts of a batch of shots that share cfg scale, steps, clip skip and embeddings."""

    def __init__(
        self, base: BaseModel, shots: Sequence[Shot], chunks: int, encoded: dict[str, Conditioning]
    ) -> None:
        """Divide the prompts; nothing is encoded yet.

        Args:
            chunks: that each text is filled up to: the chunk_count of these shots.
            encoded: texts that batches before have encoded, with the same LoRAs; new ones are added.
        """
        self._base, self._shots = base, shots
        self._guided = is_guided(shots)
        self._rows = _rows(shots)
        self._negative = _negative_rows(shots) if self._guided else []
        self._of_rows = torch.tensor([row.shot for row in self._rows], device=base.device)
        self._weights = torch.tensor([row.weight for row in self._rows], device=base.device)[
            :, None, None, None
        ]
        self._chunks, self._encoded = chunks, encoded
        self._joined: dict[tuple[str, ...], Conditioning] = {}

    def rows_of(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the latents (batch, ...) once for each row that is predicted: negative prompts, then prompts."""
        rows = latents[self._of_rows]
        return torch.cat([latents, rows]) if self._guided else rows

    def at(self, step: int) -> Conditioning:
        """Return the rows' conditioning at a step, numbered from 0.

        To Stable Diffusion XL an empty negative prompt is zeros, as it was trained with and as AUTOMATIC1111 has
        it (stable-diffusion-webui, modules/sd_models_xl.py, `force_zero_negative_prompt`).
        """
        texts = tuple(row.at(step) for row in [*self._negative, *self._rows])
        if texts not in self._joined:
            self._encode([text for text in dict.fromkeys(texts) if text not in self._encoded])
            rows = joined([self._encoded[text] for text in texts])
            if self._guided and rows.pooled is not None:
                empty = [row for row in range(len(self._negative)) if not texts[row]]
                rows.states[empty] = 0.0
                rows.pooled[empty] = 0.0
            self._joined[texts] = rows
        return self._joined[texts]

    def _encode(self, texts: list[str]) -> None:
        if not texts:
            return
        first = self._shots[0]
        encoded = encode.encode_prompts(
            self._base,
            texts,
            chunks=self._chunks,
            clip_skip=first.clip_skip,
            embeddings=[held(use) for use in first.embeddings],
        )
        for row, text in enumerate(texts):
            pooled = None if encoded.pooled is None else encoded.pooled[row : row + 1]
            self._encoded[text] = Conditioning(encoded.states[row : row + 1], pooled)

    def combined(self, predicted: torch.Tensor) -> torch.Tensor:
        """Return the guided prediction of each picture (batch, ...) from those of the rows.

        Composition is that of Liu et al. 2022 (arXiv 2206.01714): each part moves away from the negative prompt
        with its own weight.
        """
        if not self._guided:
            return predicted
        without, rows = predicted[: len(self._negative)], predicted[len(self._negative) :]
        moved = self._weights * (rows - without[self._of_rows])
        direction = torch.zeros_like(without).index_add_(0, self._of_rows, moved)
        return without + self._shots[0].cfg_scale * direction


def _rows(shots: Sequence[Shot]) -> list[_Row]:
    rows = []
    for index, shot in enumerate(shots):
        text, networks = parse.extra_networks(shot.prompt)
        if any(one.is_lora for one in networks) and not any(use.sha256 for use in shot.loras):
            raise RuntimeError(f"the LoRAs that the prompt '{shot.prompt}' names were not looked up")
        count = predictions(shot.sampler, shot.steps)
        rows += [_Row(index, part.weight, parse.schedule(part.text, count)) for part in parse.parts(text)]
    return rows


def _negative_rows(shots: Sequence[Shot]) -> list[_Row]:
    return [
        _Row(index, 1.0, parse.schedule(shot.negative_prompt, predictions(shot.sampler, shot.steps)))
        for index, shot in enumerate(shots)
    ]
