"""A whole project from the browser alone: `sid up`, Paper Town, small settings, and no other command."""

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from browser.conftest import Up, Visitor
from PIL import Image

import bootstrap
from bootstrap.catalog import Catalog, candidates, generations, picks
from bootstrap.project import editing
from bootstrap.project.projects import Project, Workspace

pytestmark = pytest.mark.timeout(600)

_ORIGINALS = Path(bootstrap.__file__).parent / "papertown" / "originals"
_RUN_MILLISECONDS = 240_000
# Four steps per epoch and eight pictures, so that a generation takes seconds; everything else is the default.
_SMALL = {
    "training.repeats": 8, "training.train_batch_size": 2, "training.epochs": 4, "training.network_dim": 8,
    "drawing.steps": 4, "recipe[1].count": 4, "recipe[2].count": 4,
}  # fmt: skip


def test_a_whole_project_without_a_terminal(up: Up, chromium: Any, tmp_path: Path) -> None:
    workspace, url = up.workspace, up.app
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, locale="en-GB")
    context.set_default_timeout(60_000)
    visitor = Visitor(context.new_page(), url)
    try:
        make_project(visitor, workspace, tmp_path)
        made = workspace.project("crown")
        kept = visitor.page.request.get(f"{url}/_stcore/metrics?families=cache_memory_bytes").text()
        assert "# EOF" in kept and "UploadedFileManager" not in kept
        set_schedule(visitor)
        run_and_cancel(visitor, made)
        review(visitor, made)
        grow_and_run_again(visitor, made)
        export(visitor, made)
    finally:
        context.close()
    assert visitor.errors == []
    assert visitor.foreign == []
    assert {run["deployment_id"] for run in up.ask("flow_runs/filter", {})} == {
        up.ask("deployments/name/bootstrap/bootstrap")["id"]
    }


def make_project(visitor: Visitor, workspace: Workspace, folder: Path) -> None:
    page = visitor.page
    visitor.open("/")
    page.get_by_role("button", name="Create a project").click()
    wrong = folder / "crown '<b>x\U0001f451'.png"
    wrong.write_bytes(b"no picture")
    page.locator("input[type=file]").set_input_files(wrong)
    page.get_by_text("crown '<b>x\U0001f451'.png: not a picture").wait_for()
    # What a phone sends: turned by EXIF only.
    turned = folder / "crown.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(_ORIGINALS / "crown.png") as picture:
        wide = picture.convert("RGB").resize((192, 128))
        wide.save(turned, exif=exif, quality=95)
    page.locator("input[type=file]").set_input_files(turned)
    page.get_by_text("128×192 pixels").wait_for()
    page.get_by_label("Caption", exact=True).fill((_ORIGINALS / "crown.txt").read_text().strip())
    page.get_by_role("button", name="Create the project").click()
    page.get_by_text("Ready for the first generation").wait_for()
    made = workspace.project("crown")
    assert made.settings.project.tags[:2] == ["woman", "long straight brown hair"]
    with Image.open(made.original) as original:
        assert (original.size, original.format) == ((128, 192), "PNG")
        assert not original.getexif()
    # The forms have tests of their own; here they change one setting and one recipe.
    visitor.open("/settings?project=crown")
    page.get_by_role("tab", name="Training").click()
    page.get_by_label("Repeats", exact=True).fill("9")
    page.get_by_test_id("stFormSubmitButton").filter(visible=True).get_by_role("button").click()
    page.get_by_text("Saved: repeats").wait_for()
    visitor.open("/recipes?project=crown")
    page.get_by_role("button", name="Change").first.click()
    page.get_by_label("Count", exact=True).fill("5")
    page.get_by_role("button", name="Save").click()  # at once: what was typed last counts
    page.get_by_text("5 shots").wait_for()
    reread = workspace.project("crown").settings
    assert (reread.training.repeats, reread.recipe[0].count) == (9, 5)
    editing.edited(made, _SMALL).save()


def set_schedule(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/schedule")
    page.get_by_text("No schedule yet").wait_for()
    page.get_by_role("button", name="Save the schedule").click()
    page.get_by_text("Next run:").wait_for()
    page.get_by_text("Every night at 01:00").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("heading", name="Paused").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("Next run:").wait_for()
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("No schedule yet").wait_for()


def run_and_cancel(visitor: Visitor, made: Project) -> None:
    page = visitor.page
    visitor.open("/generations?project=crown")
    page.get_by_role("button", name="Start a generation").click()
    page.get_by_text("Training the LoRA").first.wait_for(timeout=_RUN_MILLISECONDS)
    page.get_by_text("Log of the run").click()
    page.get_by_text("project 'crown': generation 1").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Generation 1 was stopped").wait_for(timeout=_RUN_MILLISECONDS)
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("Generation 1 is ready for review").wait_for(timeout=_RUN_MILLISECONDS)
    page.get_by_text("Contact sheet").click()
    page.locator("img.sid-sheet").wait_for()
    assert state(made, 1) == "published"


def review(visitor: Visitor, made: Project) -> None:
    """Accept the first picture and reject another with the keys."""
    page = visitor.page
    page.get_by_role("button", name="Review").click()
    page.locator("img[alt^=Candidate]").first.wait_for()
    decide(visitor, made, "ArrowRight", "accept")
    decide(visitor, made, "ArrowLeft", "reject")


def decide(visitor: Visitor, made: Project, key: str, verdict: str) -> None:
    """Press a key until it has decided: on a busy machine the page may still be loading the next picture."""
    catalog = Catalog(made.workspace.catalog_url)
    deadline = time.monotonic() + 90
    while not candidates.candidates(catalog, made.name, verdict=verdict):
        assert time.monotonic() < deadline
        visitor.page.keyboard.press(key)
        visitor.page.wait_for_timeout(3000)
    catalog.close()


def grow_and_run_again(visitor: Visitor, made: Project) -> None:
    page = visitor.page
    visitor.open("/generations?project=crown")
    page.get_by_text("What was accepted").wait_for()
    page.get_by_role("button", name="Grow and start the next generation").click()
    page.get_by_text("Generation 2 is ready for review").wait_for(timeout=_RUN_MILLISECONDS)
    assert (state(made, 1), state(made, 2)) == ("grown", "published")
    visitor.open("/training?project=crown")
    page.get_by_text("Generation 2: 4 snapshots").wait_for()


def export(visitor: Visitor, made: Project) -> None:
    page = visitor.page
    visitor.open("/dataset?project=crown")
    page.get_by_text("Dataset of 2 pictures").wait_for()
    page.get_by_label("Tags to add at the end").fill("<img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Apply to all 1 shown").click()
    page.get_by_text("1 caption saved").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as a zip file").click()
    packed = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes()))
    names = sorted(packed.namelist())
    assert len([one for one in names if one.endswith(".png")]) == 2
    [pick] = picks.picks(Catalog(made.workspace.catalog_url), made.name)
    text = next(one for one in names if one.endswith(f"{pick.candidate_id}.txt"))
    assert packed.read(text).decode().strip() == pick.caption
    assert pick.caption.endswith(", <img src=x onerror=alert(1)>")


def state(made: Project, number: int) -> str:
    catalog = Catalog(made.workspace.catalog_url)
    state = generations.statuses(catalog, made.name)[number - 1].state
    catalog.close()
    return state
