"""The Generations page in real Chromium: it starts a generation and shows its progress."""

from typing import Any

from browser import populate
from making import bring

from bootstrap.catalog import Catalog, generations
from bootstrap.project.running import exclusively

_RUN_MILLISECONDS = 150_000  # until `sid run` has imported everything, on a busy machine


def test_progress_is_shown_as_it_comes(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "progress")
    catalog = Catalog(made.workspace.catalog_url)
    generations.begin(catalog, made.name)
    bring(made, catalog, 1, "training")
    with exclusively(made):
        tell = generations.reporter(catalog, made.name, 1, every_seconds=0)
        from bootstrap.progress import Progress

        tell(Progress("train", 40, 120, "steps", 2.0, "loss 0.0123 <b>"))
        visitor.open("/generations?project=progress")
        visitor.page.get_by_text("40 of 120 steps · 2.0 steps/s · about 40 s left").wait_for()
        visitor.page.get_by_text("loss 0.0123 <b>").wait_for()
        tell(Progress("train", 80, 120, "steps", 2.0))
        visitor.page.get_by_text("80 of 120 steps").wait_for()
        bring(made, catalog, 1, "failed", "the disk is full")
        visitor.page.get_by_text("Generation 1 failed").wait_for()
        visitor.page.get_by_text("the disk is full").wait_for()
    catalog.close()


def test_the_review_page_fills_by_itself(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "fills")
    catalog = Catalog(made.workspace.catalog_url)
    generations.begin(catalog, made.name)
    bring(made, catalog, 1, "drawing")
    catalog.close()
    visitor.open("/?project=fills")
    visitor.page.get_by_text("Generation 1 is running").wait_for()
    (only,) = populate.add_generation(made, 1)
    visitor.expect_shown(only)


def test_a_start_that_fails_says_why(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "typo")
    visitor.open("/generations?project=typo")
    visitor.page.get_by_role("button", name="Start a generation").wait_for()
    made.toml.write_text(made.toml.read_text("utf-8").replace("repeats", "repeat"), "utf-8")
    visitor.page.get_by_role("button", name="Start a generation").click()
    visitor.page.get_by_text("did you mean 'repeats'?").first.wait_for(timeout=_RUN_MILLISECONDS)
    visitor.page.get_by_role("button", name="Try again").wait_for()
