"""Takes the screenshots of docs/review-app.md and the README: `python docs/screenshots.py [--workspace DIR]`.

Makes a project with Paper Town, runs two generations of it, starts `sid up`, and takes each page in Chromium, light and
dark, 1440 and 390 pixels wide. Takes 8 minutes of CPU time without a GPU; `--workspace` keeps the workspace, and the
next call with it takes only a few. Needs the extra `dev` and Chromium.
"""

import argparse
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from bootstrap import papertown
from bootstrap.catalog import Catalog, candidates, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.dataset import growth
from bootstrap.loop import generation
from bootstrap.project import editing
from bootstrap.project.projects import Project, Workspace
from flows import demo
from review_app import login_settings

DOCS = Path(__file__).parent
FOLDER = DOCS / "review-app"
ORIGINALS = Path(papertown.__file__).parent / "originals"
SIZES = {1440: 900, 390: 844}  # width: height
SCHEMES = ("light", "dark")
PORT = 8577
QUALITY = 62  # of WebP: forty pictures stay below 1.5 MB
_READY = "[data-testid=stApp][data-test-script-state=notRunning]"


@dataclass(frozen=True)
class Screenshot:
    """A page to take a screenshot of."""

    name: str
    path: str
    prepare: Any = None  # called with the page before the screenshot


def _upload(page: Page) -> None:
    page.locator("input[type=file]").set_input_files(ORIGINALS / "crown.png")
    page.get_by_text("pixels").wait_for()
    page.get_by_label("Caption", exact=True).fill((ORIGINALS / "crown.txt").read_text().strip())
    page.locator("h1").first.click()  # leave the field, so that the app receives the text
    page.get_by_text("tokens, including commas").wait_for()


def _picture_on_the_deck(page: Page) -> None:
    # A candidate that an earlier page showed becomes free again after two minutes at the latest.
    page.locator('.deck[data-candidate]:not([data-candidate=""]) .slot img').wait_for(timeout=180_000)


def _training_tab(page: Page) -> None:
    page.get_by_role("tab", name="Training").click()


def _first_recipe(page: Page) -> None:
    page.get_by_role("button", name="Change").first.click()
    page.get_by_text("This recipe:").wait_for()


PAGES = (
    Screenshot("review", "/?project=demo", _picture_on_the_deck),
    Screenshot("grid", "/grid?project=demo"),
    Screenshot("generations", "/generations?project=demo"),
    Screenshot("training", "/training?project=demo"),
    Screenshot("dataset", "/dataset?project=demo"),
    Screenshot("recipes", "/recipes?project=demo", _first_recipe),
    Screenshot("settings", "/settings?project=demo", _training_tab),
    Screenshot("projects", "/projects"),
    Screenshot("new", "/new", _upload),
    Screenshot("schedule", "/schedule"),
)


def demo_project(workspace: Workspace) -> Project:
    """Return the demo project with one generation grown and one under review; make it if missing."""
    if demo.NAME in workspace.project_names():
        return workspace.project(demo.NAME)
    made = demo.project(workspace)
    prompts = ["woman, red hat, garden", "woman, reading, library"]
    editing.edited(made, {"training.sample_prompts": prompts, "recipe[1].snapshot": "auto"}).save()
    made = workspace.project(demo.NAME)
    with closing(workspace.open_catalog()) as catalog:
        run_generation(made, catalog)
        review_share(made, catalog, 1, share=1.0)
        growth.grow(made, catalog)
        run_generation(made, catalog)
        review_share(made, catalog, 2, share=0.4)
    return made


def run_generation(made: Project, catalog: Catalog) -> None:
    """Run the next generation."""
    begun = generation.prepare(made, catalog)
    generation.train(begun)
    generation.draw(begun)
    generation.curate(begun)
    generation.publish(begun)


def review_share(made: Project, catalog: Catalog, number: int, share: float) -> None:
    """Decide on the given share, 0 to 1, of a generation's candidates: accept two, reject one, and so on."""
    ranked = candidates.candidates(catalog, made.name, generation=number, ranked=True)
    for index, candidate in enumerate(ranked[: max(2, round(share * len(ranked)))]):
        verdict = Verdict.REJECT if index % 3 == 2 else Verdict.ACCEPT
        verdicts.decide(catalog, made.name, [candidate.id], verdict, reviewer="anna")


@contextmanager
def served(workspace: Workspace, *command: str) -> Iterator[str]:
    """Run a command that serves the app; yield the app's address."""
    environment = {**os.environ, "SID_REVIEWER": "anna"}
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        environment.pop(name, None)
    sid = [
        sys.executable,
        "-c",
        "from bootstrap.cli.main import main; main()",
        "--workspace",
        str(workspace.folder),
    ]
    with tempfile.TemporaryFile("w+b") as log:
        process = subprocess.Popen(
            [*sid, *command, "--port", str(PORT)], stdout=log, stderr=log, env=environment
        )
        try:
            url, deadline = f"http://localhost:{PORT}", time.monotonic() + 180
            while not _has_started(url, command[0] == "up", log):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise SystemExit(f"sid {command[0]} did not start:\n{log.read().decode()}")
                time.sleep(0.3)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(90)


def _has_started(url: str, is_up: bool, log: Any) -> bool:
    """Whether everything has started; `sid up` starts the flows last and says so."""
    log.seek(0)
    if is_up:
        return b"Ctrl-C stops everything" in log.read()
    try:
        urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def take(page: Page, screenshot: Screenshot, url: str) -> Image.Image:
    """Return a page's screenshot, once it has loaded completely."""
    page.goto(url + screenshot.path, wait_until="domcontentloaded")
    if screenshot.name != "login":  # the login page is not a Streamlit page
        page.wait_for_selector(_READY, timeout=120_000)
    if screenshot.prepare is not None:
        screenshot.prepare(page)
        page.wait_for_selector(_READY, timeout=120_000)
    page.locator("[data-testid=stSkeleton]").first.wait_for(state="detached", timeout=120_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)  # charts are drawn late, fields fade in
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def take_all(browser: Any, url: str, pages: tuple[Screenshot, ...]) -> None:
    """Take each page in both color schemes and widths, as WebP."""
    FOLDER.mkdir(exist_ok=True)
    for scheme in SCHEMES:
        for width, height in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB"
            )
            for screenshot in pages:
                path = FOLDER / f"{screenshot.name}-{scheme}-{width}.webp"
                take(context.new_page(), screenshot, url).save(path, "WEBP", quality=QUALITY, method=6)
                print(f"{path.name}: {path.stat().st_size // 1000} kB", flush=True)
            context.close()


def take_readme_picture(browser: Any, url: str) -> None:
    """Take docs/review.png: the light review page, as a palette PNG."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 800}, color_scheme="light", locale="en-GB"
    )
    picture = take(context.new_page(), PAGES[0], url)
    picture.quantize(256, dither=Image.Dither.NONE).save(DOCS / "review.png", optimize=True)
    context.close()


def set_schedule(browser: Any, url: str) -> None:
    """Schedule the nightly run at one o'clock through the page, as a person would."""
    context = browser.new_context(timezone_id="Europe/Berlin")
    page = context.new_page()
    page.goto(url + "/schedule")
    page.get_by_text("No nightly run yet").wait_for(timeout=120_000)
    if page.get_by_text("No schedule yet").count():
        page.get_by_role("button", name="Save the schedule").click()
        page.get_by_text("Next run:").wait_for(timeout=60_000)
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace", type=Path, help="folder of the workspace to make and keep")
    parser.add_argument("--readme-only", action="store_true", help="docs/review.png only")
    arguments = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        workspace = Workspace((arguments.workspace or Path(scratch) / "workspace").resolve())
        demo_project(workspace)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with served(workspace, "up") as url:
            take_readme_picture(browser, url)
            if arguments.readme_only:
                return
            set_schedule(browser, url)
            take_all(browser, url, PAGES)
        empty = Workspace(Path(scratch) / "empty")
        empty.folder.mkdir()
        login_settings.set_password(empty, "only for the picture")
        with served(empty, "review", "--no-browser") as url:
            take_all(browser, url, (Screenshot("login", "/login"),))
        (empty.folder / login_settings.FILE).unlink()
        with served(empty, "review", "--no-browser") as url:
            take_all(browser, url, (Screenshot("empty", "/"),))
        browser.close()
    total = sum(path.stat().st_size for path in FOLDER.glob("*.webp"))
    print(f"{len(list(FOLDER.glob('*.webp')))} pictures, {total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
