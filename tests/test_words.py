"""One word for each state, everywhere: the enums hold them, the docs list them, and retired words stay away."""

import re
from pathlib import Path

import pytest

from bootstrap.catalog import generations, states
from bootstrap.catalog.states import COUNTED, INTERRUPTED, CandidateState, GenerationState, Verdict
from review_app.components.progress import station
from review_app.phases import Phase

_ROOT = Path(__file__).parents[1]
# What was said for a state before, and what is said now.
RETIRED = {
    "ready for review": "published",
    "up for review": "published",
    "shown for review": "published",
    "candidates to review": "candidates published",
    "reviewed and grown": "grown",
    "was stopped": "was cancelled",
    "filtering out duplicates": "curating",
    "training the lora": "training",
}
_LEFT_OUT = {"test_words.py", "test_commands.py"}
# Whatever a person reads. Comments may say what a state means in other words.
_SHOWN = [
    *(_ROOT / "docs").glob("*.md"), _ROOT / "README.md",
    *(_ROOT / "review_app").rglob("*.js"), *(_ROOT / "review_app").rglob("*.html"),
]  # fmt: skip
_TOLD = [
    path for package in ("bootstrap/cli", "flows", "review_app") for path in (_ROOT / package).rglob("*.py")
]


def test_the_docs_list_the_words_of_the_code() -> None:
    text = (_ROOT / "docs" / "review-app.md").read_text()
    rows = re.findall(r"(?m)^\| ([a-z]+) \| ", text)
    of_states, counted = (
        rows[rows.index("state") + 1 : rows.index("counted")],
        rows[rows.index("counted") + 1 :],
    )
    assert of_states == [*(str(state) for state in GenerationState), INTERRUPTED]
    assert counted[: len(COUNTED)] == list(COUNTED)
    for word in (*CandidateState, *Verdict):
        assert f"`{word}`" in text


def test_every_count_is_one_of_the_status() -> None:
    fields = generations.GenerationStatus.__dataclass_fields__
    assert set(COUNTED.values()) <= set(fields)


@pytest.mark.parametrize("state", GenerationState)
def test_the_app_shows_the_word_itself(state: GenerationState) -> None:
    assert station(state).lower() == state


def test_the_apps_phases_use_the_same_words() -> None:
    """What a state does not name has a word of its own there: new, starting, running, review."""
    words = {phase.value for phase in Phase} - {"new", "starting", "running", "review"}
    assert words <= {*(str(state) for state in GenerationState), INTERRUPTED}


@pytest.mark.parametrize("path", _SHOWN, ids=lambda path: str(path.relative_to(_ROOT)))
def test_no_retired_word_is_shown(path: Path) -> None:
    text = " ".join(path.read_text().lower().split())
    assert [old for old in RETIRED if old in text] == []


@pytest.mark.parametrize("path", _TOLD, ids=lambda path: str(path.relative_to(_ROOT)))
def test_no_retired_word_is_told(path: Path) -> None:
    from tests.test_commands import texts_of

    told = " ".join(texts_of(path)).lower()
    assert [old for old in RETIRED if old in told] == []


def test_the_states_follow_each_other_by_their_words() -> None:
    assert set(states.AFTER_GENERATION_STATE) == set(GenerationState)
