"""Fix it in real Chromium: a caption is saved, and a part is inpainted by a real process and shown in the deck."""

from typing import Any

from browser import populate
from making import make_project, open_catalog
from making import shot as made_shot

from bootstrap.catalog import candidates, trainings
from bootstrap.catalog.trainings import Snapshot
from bootstrap.lora import kohya
from bootstrap.models.family import BaseModel
from bootstrap.project import editing
from bootstrap.project.projects import Workspace
from bootstrap.shots import LoraUse
from tests.lora.test_merge import random_lora
from tests.making import add_published

_DRAWN_MILLISECONDS = 150_000  # until `sid inpaint` has imported everything, on a busy machine


def test_a_candidate_is_mended(app: Any, visitor: Any, papertown: BaseModel, tmp_path: Any) -> None:
    folder = app.workspace / "projects"
    made = make_project(tmp_path, "mended")
    folder.mkdir(exist_ok=True)
    made.folder.rename(folder / "mended")
    made = Workspace(app.workspace).project("mended")
    editing.set_values(made, ["curation.embedder=none"])
    lora = random_lora(papertown, 2)
    path = made.generation_folder(1) / "training-abababab" / "mended-g01-000002.safetensors"
    kohya.write(path, lora.modules, lora.metadata)
    catalog = open_catalog(made)
    use = LoraUse("mended-g01-000002", "ab" * 32, 2, 0.8)
    shots = [made_shot(seed, steps=2, base_model_hash=papertown.hash, loras=(use,)) for seed in (1, 2)]
    ids = add_published(made, catalog, 1, 2, shots)
    trainings.begin(catalog, made.name, 1, "ab" * 32, {}, [])
    snapshot = Snapshot("ab" * 32, 2, path.relative_to(made.folder), "s" * 64, 0.1)
    trainings.add_snapshot(catalog, made.name, snapshot, 10, [])

    visitor.open("/?project=mended")
    visitor.page.locator('.deck:not([data-candidate=""])[data-candidate]').wait_for()
    first = visitor.shown()
    visitor.press("f")
    dialog = visitor.page.get_by_role("dialog")
    text = dialog.get_by_role("textbox", name="Caption as a pick")
    text.fill("woman, <b>green</b> apple")
    visitor.press("Control+Enter")
    dialog.get_by_role("button", name="Save the caption").click()
    dialog.wait_for(state="detached")
    assert candidates.candidate(catalog, made.name, first).caption == "woman, <b>green</b> apple"

    visitor.press("f")
    dialog.get_by_role("tab", name="Draw again").click()
    picture = dialog.get_by_role("img", name="The candidate")  # what is mended stays in sight
    assert f"/{first}.png" in picture.locator("visible=true").get_attribute("src")
    dialog.get_by_role("textbox", name="Prompt", exact=True).fill("woman, green apple, window")
    dialog.get_by_role("textbox", name="Negative prompt").fill("blurry")
    dialog.get_by_role("spinbutton", name="CFG scale").fill("4")
    dialog.get_by_role("spinbutton", name="Steps").fill("3")
    dialog.get_by_role("combobox", name="Sampler").click()
    visitor.page.get_by_role("option", name="Euler a").first.click()
    dialog.get_by_role("spinbutton", name="How many").fill("1")
    visitor.press("Tab")
    visitor.settle()
    dialog.get_by_role("button", name="Draw", exact=False).last.click()
    dialog.wait_for(state="detached")
    visitor.page.get_by_text("with another prompt, another negative prompt, CFG scale 4, steps 3").wait_for()
    visitor.page.get_by_text("ready, in the deck now").wait_for(timeout=_DRAWN_MILLISECONDS)
    visitor.page.locator(".deck .facts", has_text="Mended from").wait_for()
    again = visitor.shown()
    shot = candidates.candidate(catalog, made.name, again).shot
    assert (shot.prompt, shot.negative_prompt) == ("woman, green apple, window", "blurry")
    assert (shot.cfg_scale, shot.steps, shot.sampler) == (4.0, 3, "Euler a")
    reference = visitor.page.locator(".deck .reference")
    assert "What it was mended from" in reference.inner_text()
    assert f"/{first}.png" in reference.locator("img").get_attribute("src")

    visitor.press("f")
    dialog.get_by_role("tab", name="Inpaint").click()
    dialog.get_by_role("radio", name="the original").click()
    dialog.get_by_role("application").get_by_role("img", name="The original").wait_for()
    dialog.get_by_text("Only masked", exact=True).click()
    dialog.get_by_role("spinbutton", name="Only masked padding").fill("12")
    dialog.get_by_role("textbox", name="Prompt for the painted part").fill("smile")

    def paint() -> None:
        box = dialog.get_by_role("application").bounding_box()
        mouse = visitor.page.mouse
        mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
        mouse.wheel(0, -500)  # enlarges there
        mouse.down()
        mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
        mouse.up()
        visitor.page.wait_for_timeout(500)
        visitor.settle()

    paint()
    assert dialog.locator(".percent").inner_text() != "100 %"
    visitor.press("Control+z")
    visitor.page.wait_for_timeout(500)
    visitor.settle()
    assert dialog.get_by_role("button", name="Undo").is_disabled()
    dialog.get_by_role("button", name="Draw").last.click()
    dialog.get_by_text("paint over the part to redraw").wait_for()
    dialog.get_by_role("button", name="Redo").click()
    paint()
    dialog.get_by_role("button", name="Draw").last.click()
    dialog.wait_for(state="detached")
    visitor.page.get_by_text("2 inpainted from the original").wait_for()
    visitor.page.get_by_text("ready, in the deck now").nth(1).wait_for(timeout=_DRAWN_MILLISECONDS)
    visitor.page.locator(".deck .facts", has_text="inpaint").wait_for()
    new = visitor.shown()
    assert new not in (*ids, again)
    drawn = candidates.candidate(catalog, made.name, new)
    assert drawn.shot.start.mask.padding == 12 and drawn.shot.prompt == "smile"
    assert drawn.shot.start.picture.path == made.original.name
    assert drawn.caption == ", ".join(made.settings.project.tags)
    visitor.press("a")
    visitor.expect_sent()
    assert populate.verdicts(made)[new] == "accept"
    catalog.close()
