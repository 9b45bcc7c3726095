"""What a family encodes: a caption, or the spans of a prompt and the embeddings that it names; and what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootstrap.shots import EmbeddingUse

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Span:
    """A stretch of text and how much attention it gets."""

    text: str
    weight: float


# Where a chunk ends. As in AUTOMATIC1111 a bracket around it changes its weight, and then it is a word like others.
CHUNK_END = Span("BREAK", -1.0)

Prompt = str | Sequence[Span]
"""A caption, in which every character is a character; or the spans of a prompt (bootstrap.prompting.parse)."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """A textual-inversion embedding that was read: vectors that stand in a prompt where its name does."""

    name: str  # by which prompts call it: the file's without ending
    sha256: str  # of the file
    vectors: "tuple[NDArray[np.float32], ...]"  # (vectors, width), float32; one tensor for each text encoder

    @property
    def count(self) -> int:
        """How many vectors it has; it takes the place of as many tokens."""
        return len(self.vectors[0])

    @property
    def use(self) -> EmbeddingUse:
        """What a shot keeps of it."""
        return EmbeddingUse(self.name, self.sha256)

    def fits(self, widths: Sequence[int]) -> bool:
        """Whether it was made for text encoders of these widths; AUTOMATIC1111 leaves out those that were not."""
        return [vectors.shape[1] for vectors in self.vectors] == list(widths)


@dataclass(frozen=True)
class Conditioning:
    """Encoded prompts, a row each. What the tensors mean is the family's own."""

    states: "torch.Tensor"  # (rows, tokens, width)
    pooled: "torch.Tensor | None"  # (rows, ...); None: the family has no such

    def rows(self, numbers: "torch.Tensor") -> "Conditioning":
        """Return the rows of these numbers, int64."""
        return Conditioning(self.states[numbers], None if self.pooled is None else self.pooled[numbers])
