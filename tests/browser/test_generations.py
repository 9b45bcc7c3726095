"""The Generations page in real Chromium: a generation is started from it, and its progress is seen."""

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from browser import populate

from bootstrap.catalog import Catalog, generations
from bootstrap.running import exclusively, is_running

_RUN_MILLISECONDS = 150_000  # until `sid run` has imported everything, on a busy machine


def test_progress_is_shown_as_it_comes(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "progress")
    catalog = Catalog(made.workspace.catalog_url)
    generations.begin(catalog, made.name)
    generations.set_state(catalog, made.name, 1, "training")
    with exclusively(made):
        tell = generations.reporter(catalog, made.name, 1, every_seconds=0)
        from bootstrap.progress import Progress

        tell(Progress("train", 40, 120, "steps", 2.0, "loss 0.0123 <b>"))
        visitor.open("/generations?project=progress")
        visitor.page.get_by_text("40 of 120 steps · 2.0 steps/s · about 40 s left").wait_for()
        visitor.page.get_by_text("loss 0.0123 <b>").wait_for()
        tell(Progress("train", 80, 120, "steps", 2.0))
        visitor.page.get_by_text("80 of 120 steps").wait_for()
        generations.set_state(catalog, made.name, 1, "failed", "the disk is full")
        visitor.page.get_by_text("Generation 1 failed").wait_for()
        visitor.page.get_by_text("the disk is full").wait_for()
    catalog.close()


def test_the_review_page_fills_by_itself(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "fills")
    catalog = Catalog(made.workspace.catalog_url)
    generations.begin(catalog, made.name)
    generations.set_state(catalog, made.name, 1, "drawing")
    catalog.close()
    visitor.open("/?project=fills")
    visitor.page.get_by_text("Generation 1 is on its way").wait_for()
    (only,) = populate.add_generation(made, 1)
    visitor.expect_shown(only)


def test_the_button_starts_a_real_run(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "real start")
    visitor.open("/generations?project=real+start")
    visitor.page.get_by_role("button", name="Start a generation").click()
    visitor.page.get_by_text("Training the LoRA").first.wait_for(timeout=_RUN_MILLISECONDS)
    assert is_running(made)
    catalog = Catalog(made.workspace.catalog_url)
    deadline = time.monotonic() + 120
    while generations.statuses(catalog, made.name)[0].total == 0:  # until it trains indeed
        assert time.monotonic() < deadline
        time.sleep(0.5)
    catalog.close()
    end(made)
    visitor.page.get_by_text("Generation 1 was interrupted").wait_for()
    visitor.page.get_by_role("button", name="Continue").wait_for()


def end(made: Any) -> None:
    """End the run of this project, as a power cut would."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                command = Path(entry.path, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if (
                command[-3:-1] == [b"run", made.name.encode()]
                and str(made.workspace.folder).encode() in command
            ):
                os.kill(int(entry.name), signal.SIGKILL)


def test_a_start_that_fails_says_why(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "typo")
    visitor.open("/generations?project=typo")
    visitor.page.get_by_role("button", name="Start a generation").wait_for()
    made.toml.write_text(made.toml.read_text("utf-8").replace("repeats", "repeat"), "utf-8")
    visitor.page.get_by_role("button", name="Start a generation").click()
    visitor.page.get_by_text("did you mean 'repeats'?").first.wait_for(timeout=_RUN_MILLISECONDS)
    visitor.page.get_by_role("button", name="Try again").wait_for()


def test_the_picks_lead_to_the_next_generation(
    app: Any, visitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = populate.make_project(app.workspace, "grows")
    (only,) = populate.add_generation(made, 1)
    visitor.open("/?project=grows")
    visitor.expect_shown(only)
    visitor.page.keyboard.press("ArrowRight")
    visitor.page.get_by_role("button", name="Go on to the next generation").click()
    visitor.page.get_by_role("button", name="Grow and start the next generation").click()
    visitor.page.get_by_text("Training the LoRA").first.wait_for(timeout=_RUN_MILLISECONDS)
    end(made)
    catalog = Catalog(made.workspace.catalog_url)
    assert generations.statuses(catalog, made.name)[0].state == "grown"
    catalog.close()
    assert [one.suffix for one in sorted(made.dataset_folder.iterdir())] == [".png", ".txt"]


@pytest.mark.timeout(900)
def test_a_whole_loop_in_the_browser(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "loop")
    quick = {"repeats": 8, "count": 2, "steps": 2, "train_batch_size": 2}
    text = made.toml.read_text("utf-8")
    for key, value in quick.items():
        text = re.sub(rf"^{key} = \d+", f"{key} = {value}", text, flags=re.MULTILINE)
    made.toml.write_text(text, "utf-8")
    visitor.open("/generations?project=loop")
    visitor.page.get_by_role("button", name="Start a generation").click()
    visitor.page.get_by_text("Generation 1 is ready for review").wait_for(timeout=2 * _RUN_MILLISECONDS)
    visitor.page.get_by_text("Contact sheet").click()
    visitor.page.locator("img.sid-sheet").wait_for()
    visitor.page.get_by_role("button", name="Review", exact=True).click()
    first = next(iter(populate.verdicts(made)))
    visitor.expect_shown(first)
    visitor.page.keyboard.press("ArrowRight")
    visitor.page.get_by_text("1 accepted").wait_for()
    visitor.page.get_by_role("link", name="Generations").click()
    visitor.page.get_by_role("button", name="Grow and start the next generation").click()
    visitor.page.get_by_text("Generation 2 is ready for review").wait_for(timeout=2 * _RUN_MILLISECONDS)
    visitor.page.get_by_text("Generation 1 · Reviewed and grown").wait_for()
    assert (made.dataset_folder / f"{first}.png").is_file()
