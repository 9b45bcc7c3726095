"""A generation's progress in words."""

from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import GenerationState
from review_app.components.markup import Markup, element

_STATIONS = {
    GenerationState.WAITING: "Waiting to begin",
    GenerationState.TRAINING: "Training the LoRA",
    GenerationState.DRAWING: "Drawing candidates",
    GenerationState.CURATING: "Sorting out duplicates",
    GenerationState.PUBLISHED: "Ready for review",
    GenerationState.GROWN: "Reviewed and grown",
    GenerationState.FAILED: "Failed",
    GenerationState.CANCELLED: "Cancelled",
}


def station(state: GenerationState) -> str:
    """Return a generation's state as a person says it."""
    return _STATIONS[state]


def stations(state: GenerationState) -> Markup:
    """Return the way of a generation, the present station marked."""
    way = {
        GenerationState.TRAINING: "Train", GenerationState.DRAWING: "Draw", GenerationState.CURATING: "Sort",
        GenerationState.PUBLISHED: "Review",
    }  # fmt: skip
    steps = [
        element("li", word, **({"class_": "sid-here", "aria_current": "step"} if one is state else {}))
        for one, word in way.items()
    ]
    return element("ol", *steps, class_="sid-stations")


def share(status: GenerationStatus) -> float:
    """Return how much of the present station is done, 0.0 to 1.0."""
    return min(1.0, max(0.0, status.done / status.total)) if status.total > 0 else 0.0


def how_far(status: GenerationStatus) -> str:
    """Return a line such as `Training the LoRA · 40 of 120 steps · 1.3 steps/s · about 1 min left`."""
    parts = [station(status.state)]
    if status.total > 0:
        parts.append(f"{status.done} of {status.total} {status.unit}".strip())
        if status.rate > 0:
            parts.append(_rate(status.rate, status.unit))
            if status.done < status.total:
                parts.append(f"{duration((status.total - status.done) / status.rate)} left")
    return " · ".join(parts)


def _rate(rate: float, unit: str) -> str:
    one = unit.removesuffix("s") or "unit"
    return f"{rate:.1f} {unit}/s" if rate >= 1 else f"{1 / rate:.1f} s a {one}"


def duration(seconds: float) -> str:
    """Return a time span in the precision that a waiting person needs."""
    if seconds < 5:
        return "a few seconds"
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min"
    return f"about {seconds / 3600:.1f} h"
