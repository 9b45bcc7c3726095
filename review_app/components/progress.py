"""A generation's progress as text and as a row of stations."""

from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import GenerationState
from review_app.components.markup import Markup, element


def station(state: GenerationState) -> str:
    """Return the word for a generation's state, as it begins a line."""
    return state.value.capitalize()


def stations(state: GenerationState) -> Markup:
    """Return the stations of a generation as an HTML list, the present one marked."""
    words = {
        GenerationState.TRAINING: "Train", GenerationState.DRAWING: "Draw", GenerationState.CURATING: "Curate",
        GenerationState.PUBLISHED: "Publish",
    }  # fmt: skip
    steps = [
        element("li", word, **({"class_": "sid-here", "aria_current": "step"} if stage is state else {}))
        for stage, word in words.items()
    ]
    return element("ol", *steps, class_="sid-stations")


def share(status: GenerationStatus) -> float:
    """Return the fraction of the present station that is done, 0.0 to 1.0."""
    return min(1.0, max(0.0, status.done / status.total)) if status.total > 0 else 0.0


def how_far(status: GenerationStatus) -> str:
    """Return a line such as `Training · 40 of 120 steps · 1.3 steps/s · about 1 min left`."""
    parts = [station(status.state)]
    if status.total > 0:
        parts.append(f"{status.done} of {status.total} {status.unit}".strip())
        if status.rate > 0:
            parts.append(_rate(status.rate, status.unit))
            if status.done < status.total:
                parts.append(f"{duration((status.total - status.done) / status.rate)} left")
    return " · ".join(parts)


def _rate(rate: float, unit: str) -> str:
    singular = unit.removesuffix("s") or "unit"
    return f"{rate:.1f} {unit}/s" if rate >= 1 else f"{1 / rate:.1f} s/{singular}"


def duration(seconds: float) -> str:
    """Return a time span, given in seconds, as text with the precision that a waiting person needs."""
    if seconds < 5:
        return "a few seconds"
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min"
    return f"about {seconds / 3600:.1f} h"
