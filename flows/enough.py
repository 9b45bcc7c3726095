"""How many new picks the next generation is worth: with fewer, more of the same generation is drawn first."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootstrap.catalog.picks import Changes

# Two or three new pictures teach a LoRA these pictures, not the subject that they have in common.
MIN_PICKS = 4


def enough(changes: "Changes", min_picks: int) -> bool:
    """Whether growing the dataset now is worth a training.

    Picks count, not what is likely to be accepted: the night decides after the review, when they are known. A pick that
    was taken back is reason enough by itself, as the LoRA has learnt from it.
    """
    return len(changes.to_add) >= min_picks or bool(changes.to_remove)
