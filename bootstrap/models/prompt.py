"""The types that a family encodes (a caption, or a prompt's spans with its embeddings), and the encoded result."""

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
    """A piece of a prompt's text with its attention weight."""

    text: str
    weight: float


# The end of a chunk. As in AUTOMATIC1111, brackets around it change its weight, which makes it an ordinary word.
CHUNK_END = Span("BREAK", -1.0)

Prompt = str | Sequence[Span]
"""A caption, which is plain text, or the spans of a prompt (bootstrap.prompting.parse)."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """A textual-inversion embedding: vectors that replace its name in a prompt."""

    name: str  # that prompts use; by default the file's name without its extension
    sha256: str  # of the file
    vectors: "tuple[NDArray[np.float32], ...]"  # (vectors, width), float32; one array per text encoder

    @property
    def count(self) -> int:
        """The number of its vectors; it takes the place of this many tokens."""
        return len(self.vectors[0])

    @property
    def use(self) -> EmbeddingUse:
        """The reference to it that a shot stores."""
        return EmbeddingUse(self.name, self.sha256)

    def fits(self, widths: Sequence[int]) -> bool:
        """Whether it was made for text encoders of these widths; AUTOMATIC1111 ignores embeddings that were not."""
        return [vectors.shape[1] for vectors in self.vectors] == list(widths)


@dataclass(frozen=True)
class Conditioning:
    """Encoded prompts, one row each. The meaning of the tensors is the family's own."""

    states: "torch.Tensor"  # (rows, tokens, width)
    pooled: "torch.Tensor | None"  # (rows, ...); None: the family has none

    def rows(self, numbers: "torch.Tensor") -> "Conditioning":
        """Return the rows with these indices, int64."""
        return Conditioning(self.states[numbers], None if self.pooled is None else self.pooled[numbers])
