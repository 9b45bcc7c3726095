"""The pages beside the deck in real Chromium: what a person types stays, changes come back, everybody can read."""

from pathlib import Path
from typing import Any

from browser import populate
from making import bring

from bootstrap.catalog import Catalog, picks, trainings, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.catalog.trainings import Snapshot
from bootstrap.dataset import growth
from bootstrap.project.projects import Project

SCREEN = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


def grown(folder: Path, name: str) -> Project:
    """A project with two picks, a trained LoRA, and a second generation whose candidates wait."""
    made = populate.make_project(folder, name)
    ids = populate.add_generation(made, 3)
    catalog = Catalog(made.workspace.catalog_url)
    verdicts.decide(catalog, name, ids[:2], Verdict.ACCEPT, "anna")
    verdicts.decide(catalog, name, ids[2:], Verdict.REJECT, "anna")
    trainings.begin(catalog, name, 1, "a" * 64, {"network_dim": 32}, [{"picture": "a", "seen": 0}])
    path = made.generation_folder(1) / "training-aaaaaaaa" / f"{name}-000001.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a LoRA")
    snapshot = Snapshot("a" * 64, 1, path.relative_to(made.folder), "a" * 64, 0.5)
    trainings.add_snapshot(catalog, name, snapshot, 20, [20])
    trainings.finish(catalog, name, "a" * 64)
    growth.grow(made, catalog)
    catalog.close()
    populate.add_generation(made, 2)
    return made


def captions(made: Project) -> list[str]:
    catalog = Catalog(made.workspace.catalog_url)
    found = [pick.caption for pick in picks.picks(catalog, made.name)]
    catalog.close()
    return found


def test_captions_are_edited_in_place_and_a_removed_pick_comes_back(app: Any, visitor: Any) -> None:
    made = grown(app.workspace, "captions")
    before = captions(made)
    page = visitor.page
    visitor.open("/dataset?project=captions")
    first = page.locator(".captions textarea").first
    first.click()
    page.keyboard.press("End")
    page.keyboard.type(", garden")  # at the end of a caption that is still there
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Undo: 1 caption changed").wait_for()
    assert captions(made) == [f"{before[0]}, garden", before[1]]
    page.get_by_role("button", name="Remove the tag smile").click()
    page.locator(".chips li", has_text="smile").wait_for(state="detached")
    field = page.get_by_label("Add a tag")
    assert "smile" in field.evaluate("(field) => [...field.list.options].map((option) => option.value)")
    field.fill("hat")
    field.press("Enter")
    page.locator(".chips li", has_text="hat").wait_for()
    page.get_by_role("button", name="Remove from the dataset").click()
    undo = page.get_by_role("button", name="Undo: 1 pick removed")
    undo.wait_for()
    assert captions(made) == before[1:]
    visitor.settle()
    undo.click()
    page.locator(".captions .row").nth(1).wait_for()
    nothing_left = page.get_by_role("button", name="Undo", exact=True)
    for _ in range(9):  # as a person does, until nothing is left
        visitor.settle()
        page.wait_for_timeout(300)
        if nothing_left.is_visible():
            break
        page.get_by_role("button", name="Undo: 1 caption changed").click()
    page.get_by_role("button", name="Undo", exact=True).wait_for()
    assert captions(made) == before
    page.get_by_text("Hugging Face: imagefolder").click()
    with page.expect_download() as packed:
        page.locator('a[href$="/imagefolder.zip"]').click()
    assert packed.value.suggested_filename == "captions-imagefolder.zip"


def test_edits_of_settings_are_kept_on_the_way_to_another_page(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "drafts")
    before = made.toml.read_text()
    page = visitor.page
    visitor.open("/settings?project=drafts")
    page.get_by_role("tab", name="Training").click()
    repeats = page.get_by_label("Repeats", exact=True)
    repeats.fill("-3")
    repeats.press("Tab")
    page.get_by_text("training.repeats").wait_for()  # and not only a red border
    repeats.fill("33")
    repeats.press("Tab")
    page.get_by_text("Not saved yet: Repeats").wait_for()
    page.get_by_role("link", name="Recipes").click()
    page.get_by_text("Not saved yet in Settings, Training: Repeats").wait_for()
    assert page.evaluate("() => window.sidNotices.unsaved") is True
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("tab", name="Training").click()
    assert page.get_by_label("Repeats", exact=True).input_value() == "33"
    assert made.toml.read_text() == before
    page.get_by_label("Repeats", exact=True).fill("34")
    page.locator(".st-key-save-settings-training button").click()  # at once, without leaving the field first
    page.get_by_text("Saved: repeats").wait_for()
    assert made.workspace.project("drafts").settings.training.repeats == 34


def test_the_tab_names_page_and_project_and_marks_a_generation_that_is_ready(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "tab")
    populate.draw(made, 1)
    catalog = Catalog(made.workspace.catalog_url)
    page = visitor.page
    visitor.open("/generations?project=tab")
    page.wait_for_function("() => document.title === 'Generations · tab · sid' && window.sidNotices?.states")
    page.evaluate("() => Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    bring(made, catalog, 1, "published")
    catalog.close()
    page.evaluate("() => window.sidNotices.look()")
    page.wait_for_function("() => document.title === '● Generations · tab · sid'")
    page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    page.wait_for_function("() => document.title === 'Generations · tab · sid'")
    visitor.open("/projects")
    page.wait_for_function("() => document.title === 'Projects · sid'")
    card = page.locator(".st-key-project-tab")
    card.get_by_role("img").evaluate("(picture) => picture.decode()")
    card.get_by_role("button", name="Open").click()
    page.wait_for_function("() => document.title === 'Generations · tab · sid'")


PAGES = (
    "review",
    "grid",
    "generations",
    "training",
    "dataset",
    "recipes",
    "settings",
    "projects",
    "new",
    "schedule",
)


_SEEN = "() => getComputedStyle(document.querySelector('.stApp')).backgroundColor"
_TOO_WIDE = """() => [...document.querySelectorAll('.stMainBlockContainer :is(button, label, input, a)')]
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1)
    .map((one) => one.outerHTML.slice(0, 120))"""


def test_every_page_is_fit_for_screen_readers_weak_eyes_and_phones(app: Any, chromium: Any) -> None:
    grown(app.workspace, "read")
    # Without the content policy: axe is a script of this test, not of the app.
    context = chromium.new_context(viewport=SCREEN, bypass_csp=True)
    page = context.new_page()
    found = []
    for path in PAGES:
        page.emulate_media(color_scheme="light")
        page.goto(f"{app.url}/{'' if path == 'review' else path}?project=read")
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')")
        found += serious(page, path)
        light = page.evaluate(_SEEN)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"(light) => ({_SEEN})() !== light", arg=light)
        found += serious(page, f"{path}, dark", ["color-contrast"])
        page.set_viewport_size(PHONE)
        page.wait_for_function("() => document.querySelector('[data-testid=stExpandSidebarButton]')")
        if page.evaluate("() => document.scrollingElement.scrollWidth") > PHONE["width"]:
            found.append(f"{path}: it scrolls sideways on a phone")
        found += [f"{path}: wider than a phone: {one}" for one in page.evaluate(_TOO_WIDE)]
        page.set_viewport_size(SCREEN)
    page.set_viewport_size(PHONE)
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Grid").click()
    page.get_by_test_id("stExpandSidebarButton").wait_for()  # the sidebar has made way for the page
    context.close()
    assert found == []


def serious(page: Any, where: str, rules: list[str] | None = None) -> list[str]:
    """Return what axe-core finds on a page as it is now, if it is serious."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    findings = Axe().run(page, options=options).response["violations"]
    return [
        f"{where}: {finding['id']}: {node['html'][:200]}"
        for finding in findings
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]
