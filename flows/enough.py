"""How many new picks justify the next generation; with fewer, the night draws more of the current one first."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootstrap.catalog.picks import Changes

# From two or three new pictures a LoRA learns the pictures themselves, not the subject they have in common.
MIN_PICKS = 4


def enough(changes: "Changes", min_picks: int) -> bool:
    """Return whether the changes of the dataset are worth a training.

    Only picks count, not likely ones, because the night decides after the review. One removed pick is reason enough,
    because the LoRA has learnt from it.
    """
    return len(changes.to_add) >= min_picks or bool(changes.to_remove)
