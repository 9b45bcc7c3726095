"""The pages of a project without a browser: settings, recipes, training, dataset, schedule, new project."""

import io
import zipfile

import pytest
from browser import populate
from PIL import Image
from streamlit.testing.v1 import AppTest

from bootstrap.catalog import accept_rates, candidates, generations, picks, trainings, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.catalog.trainings import Snapshot
from bootstrap.dataset import exporting, growth
from bootstrap.errors import UserError
from bootstrap.loop import work_left
from bootstrap.models import specs
from bootstrap.pictures import drawn_tags
from bootstrap.pictures.drawn_tags import TagDrawing
from bootstrap.project import editing
from bootstrap.project.projects import Project, Workspace
from bootstrap.project.running import exclusively
from bootstrap.project.settings import Settings, TrainingSection
from bootstrap.recipes.registry import RECIPES
from review_app import tag_checks
from review_app.components import training_groups
from review_app.components.markup import plain
from review_app.workspace import catalog_of

EVIL = "<img src=x onerror=alert(1)>"


def page(name: str, *, of_project: bool = True) -> AppTest:
    """Run one page alone, because AppTest cannot switch to pages that are functions."""

    def script(name: str, of_project: bool) -> None:
        import importlib

        from review_app.components import markup
        from review_app.workspace import workspace

        show = importlib.import_module(f"review_app.pages.{name}").show
        with markup.show_errors():
            show(workspace().project("badge")) if of_project else show()

    kwargs = {"name": name, "of_project": of_project}
    return AppTest.from_function(script, kwargs=kwargs, default_timeout=60).run()


def texts(ran: AppTest) -> str:
    assert not ran.exception, ran.exception
    elements = [
        *ran.markdown,
        *ran.subheader,
        *ran.error,
        *ran.warning,
        *ran.info,
        *ran.caption,
        *ran.success,
    ]
    return "\n".join(str(one.value) for one in [*elements, *ran.get("html")])


def field(ran: AppTest, label: str):  # type: ignore[no-untyped-def]
    kinds = (ran.number_input, ran.text_input, ran.text_area, ran.selectbox, ran.toggle)
    return next(one for kind in kinds for one in kind if one.label == label)


def press(ran: AppTest, label: str) -> AppTest:
    return next(one for one in ran.button if one.label == label).click().run()


def reread(made: Project) -> Settings:
    return made.workspace.project(made.name).settings


def grown(made: Project, count: int = 3) -> list[str]:
    """A project whose first generation is reviewed and grown; the ids of its picks."""
    ids = populate.add_generation(made, count)
    catalog = catalog_of(made)
    verdicts.decide(catalog, made.name, ids[:-1], Verdict.ACCEPT, "anna")
    verdicts.decide(catalog, made.name, ids[-1:], Verdict.REJECT, "anna")
    growth.grow(made, catalog)
    return ids[:-1]


# ---- settings


def test_training_settings_come_in_groups_with_steps_and_time(made: Project) -> None:
    assert {name for names in training_groups.GROUPS.values() for name in names} == set(
        TrainingSection.model_fields
    ), "give each training setting a group"
    ran = page("settings")
    assert [title for title in training_groups.GROUPS if title in texts(ran)] == list(training_groups.GROUPS)
    assert plain("training: 120 of 120 steps to do (6 epochs of 20)") in texts(ran)
    field(ran, "Repeats").set_value(40)
    assert plain("training: 60 of 60 steps to do (6 epochs of 10)") in texts(ran.run())


def test_what_a_change_makes_stale_is_said_before_it_is_saved(made: Project) -> None:
    populate.add_generation(made, 3)
    before = made.toml.read_text()
    ran = page("settings")
    assert not ran.warning
    field(ran, "Distance").set_value(7)
    ran = ran.run()
    catalog = catalog_of(made)
    [line] = work_left.of_edit(catalog, made, editing.edited(made, {"dedupe.distance": 7}))
    assert line.startswith(
        "candidates that are there are compared with the new settings only by `sid dedupe badge"
    )
    assert [str(one.value) for one in ran.warning] == [plain(f"{line[:1].upper()}{line[1:]}.")]
    assert made.toml.read_text() == before


def test_a_preset_and_another_project_can_be_taken(made: Project) -> None:
    ran = page("settings")
    chosen = next(one for one in ran.selectbox if one.label == "Preset or project")
    ran = chosen.set_value("flexible").run()
    assert plain("network_dim 32 -> 16") in texts(ran) and reread(made).training.network_dim == 32
    ran = press(ran, "Take these settings")
    assert not ran.exception
    training = reread(made).training
    assert (training.network_dim, training.network_alpha, training.caption_tag_dropout_rate) == (16, 8, 0.1)


def test_settings_are_saved_and_defaults_come_back(made: Project) -> None:
    ran = page("settings")
    assert field(ran, "UNet LR").value == pytest.approx(0.0012)
    assert "Default: 80" in field(ran, "Repeats").help
    field(ran, "Repeats").set_value(9)
    field(ran, "Sample prompts").set_value(f"woman, {EVIL}\n\n  woman, garden ")
    field(ran, "Flip aug").set_value(True)
    ran = next(one for one in ran.button if one.key and "training" in one.key).click().run()
    assert [one.value for one in ran.toast] == [
        plain("Saved: repeats, flip_aug, sample_prompts. The next run uses this.")
    ]
    training = reread(made).training
    assert (training.repeats, training.flip_aug) == (9, True)
    assert training.sample_prompts == [f"woman, {EVIL}", "woman, garden"]
    field(ran, "Repeats").set_value(None)
    next(one for one in ran.button if one.key and "training" in one.key).click().run()
    assert reread(made).training.repeats == 80


def test_settings_that_do_not_fit_are_refused_with_the_reason(made: Project) -> None:
    before = made.toml.read_text()
    ran = page("settings")
    field(ran, "Resolution").set_value(100)
    ran = next(one for one in ran.button if one.key and "training" in one.key).click().run()
    assert plain("not a multiple of 8") in texts(ran)
    assert made.toml.read_text() == before


def test_a_value_out_of_range_says_what_is_wrong_before_it_is_saved(made: Project) -> None:
    before = made.toml.read_text()
    ran = page("settings")
    field(ran, "Repeats").set_value(-3)
    field(ran, "Network dim").set_value(0)
    ran.run()
    (problem,) = [one.value for one in ran.error]
    assert "training.repeats" in problem.replace("\\", "") and "greater" in problem
    field(ran, "Repeats").set_value(30)
    field(ran, "Network dim").set_value(16)
    (said,) = [one.value for one in ran.run().caption if "Not saved yet" in one.value]
    assert said.endswith(plain("Repeats, Network dim"))
    assert made.toml.read_text() == before
    ran = next(one for one in ran.button if one.key == "discard settings training").click().run()
    assert field(ran, "Repeats").value == 80 and "Not saved yet" not in texts(ran)


def test_saving_one_section_keeps_the_drafts_of_another(made: Project) -> None:
    ran = page("settings")
    field(ran, "Repeats").set_value(30)
    field(ran, "Steps").set_value(9)
    ran = next(one for one in ran.button if one.key == "save settings drawing").click().run()
    assert (reread(made).drawing.steps, reread(made).training.repeats) == (9, 80)
    assert field(ran, "Repeats").value == 30 and "Not saved yet: Repeats" in texts(ran)


def test_a_base_model_is_chosen_in_the_same_way_everywhere(made: Project) -> None:
    other = populate.make_project(made.workspace.folder, "crown")
    other.toml.write_text(
        other.toml.read_text().replace('base_model = "papertown"', 'base_model = "papertown-ink"')
    )
    options = [field(page(name, of_project=own), "Base model").options for name, own in PLACES]
    assert options[0] == options[1] and "papertown-ink" in options[0]


PLACES = (("settings", True), ("new_project", False))


# ---- rename and delete


def test_a_project_is_renamed_on_its_settings_page(made: Project) -> None:
    ids = grown(made)
    ran = page("settings")
    field(ran, "New name").set_value("con")
    ran = press(ran, "Rename the project")
    assert plain("Windows reserves it") in texts(ran)
    with exclusively(made):
        field(ran, "New name").set_value("crown")
        assert plain("running already") in texts(press(ran, "Rename the project"))
    field(ran, "New name").set_value("crown")
    press(ran, "Rename the project")
    crown = made.workspace.project("crown")
    assert [pick.candidate_id for pick in picks.picks(catalog_of(crown), "crown")] == ids


def test_a_project_is_deleted_once_its_name_is_typed(made: Project) -> None:
    grown(made)
    ran = page("settings")
    assert plain("3 candidates, 2 picks") in texts(ran)
    name = f"To delete {plain('badge')}, type its name"
    field(ran, name).set_value("bagde")
    ran = press(ran, "Move the project to the trash")
    assert "nothing is deleted" in texts(ran) and made.folder.is_dir()
    field(ran, name).set_value("badge")
    ran = press(ran, "Move the project to the trash")
    assert plain(str(made.workspace.folder / "trash" / "badge")) in texts(ran)
    assert made.workspace.project_names() == [] and (made.workspace.folder / "trash" / "badge").is_dir()


# ---- recipes


def test_a_recipe_is_changed_and_what_it_comes_to_follows(made: Project) -> None:
    ran = page("recipes")
    assert "24 shots" in texts(ran)
    ran = press(ran, "Change")
    field(ran, "Count").set_value(7)
    field(ran, "Strength").set_value("0.5, 0.75")
    ran.run()
    assert "This recipe: 7 shots" in texts(ran)
    assert reread(made).recipe[0].count == 24  # not before it is saved
    field(ran, "Strength").set_value("9")
    assert plain("recipe[1].strength") in texts(ran.run())
    field(ran, "Strength").set_value("{ from = 0.5, to = 0.7 }")
    press(ran, "Save")
    assert (reread(made).recipe[0].count, reread(made).recipe[0].strength) == (7, [0.5, 0.6, 0.7])


def test_recipes_of_every_kind_have_a_form_and_can_go(made: Project) -> None:
    ran = press(page("recipes"), "Add a recipe")
    ran.selectbox(key="new recipe kind").set_value("bootstrap").run()
    assert plain("'recipe[3].aspects' is missing") in texts(ran)
    field(ran, "Aspects").set_value('[{ name = "pose", tags = ["sitting", "from behind, bent"] }]')
    ran = press(ran.run(), "Save")
    assert [one.kind for one in reread(made).recipe] == ["vary", "eliminate", "bootstrap"]
    ran = press(ran, "Remove")
    assert [one.kind for one in reread(made).recipe] == ["eliminate", "bootstrap"]
    ran = press(ran, "Add a recipe")
    for kind in RECIPES:
        ran.selectbox(key="new recipe kind").set_value(kind).run()
        assert not ran.exception, kind


def test_what_the_adaptive_plan_makes_of_the_recipes_is_said_and_can_be_switched_off(made: Project) -> None:
    assert "no verdicts to learn from yet" in texts(page("recipes"))
    ids = populate.add_generation(made, 30)
    verdicts.decide(
        catalog_of(made),
        made.name,
        [one for one in ids if "vary" in recipe_of(made, one)],
        Verdict.ACCEPT,
        "a",
    )
    verdicts.decide(
        catalog_of(made),
        made.name,
        [one for one in ids if "vary" not in recipe_of(made, one)],
        Verdict.REJECT,
        "a",
    )
    growth.grow(made, catalog_of(made))
    ran = page("recipes")
    (first, *_) = [one.value for one in ran.caption if "asked for" in one.value]
    planned = int(first.split("the adaptive plan gives ")[1].split(":")[0])
    assert "24 asked for" in first and planned != 24
    assert f"{planned} shots" in texts(ran) and "How the plan shares them out" in [
        one.label for one in ran.expander
    ]
    (switch,) = [one for one in ran.toggle if one.label.startswith("Adaptive plan")]
    ran = switch.set_value(False).run()
    assert reread(made).curation.adaptive is False
    assert (
        "Switched off" in texts(ran) and "24 shots" in texts(ran) and "adaptive plan gives" not in texts(ran)
    )


def recipe_of(made: Project, candidate_id: str) -> str:
    return candidates.candidate(catalog_of(made), made.name, candidate_id).shot.recipe


def test_a_removed_recipe_comes_back_with_its_comments_unless_the_file_was_changed(made: Project) -> None:
    made.toml.write_text(made.toml.read_text().replace("[[recipe]]", "# mine\n[[recipe]]", 1))
    before = made.toml.read_text()
    ran = press(page("recipes"), "Remove")
    assert [one.kind for one in reread(made).recipe] == ["eliminate"]
    ran = press(ran, "Undo")
    assert made.toml.read_text() == before and "is removed" not in texts(ran)
    ran = press(ran, "Remove")
    made.toml.write_text(made.toml.read_text() + "# changed by hand\n")
    ran = press(ran, "Undo")
    assert "changed since" in ran.toast[0].value
    assert [one.kind for one in reread(made).recipe] == ["eliminate"]


# ---- training


def test_training_shows_losses_and_snapshots(made: Project) -> None:
    assert "Nothing trained yet" in texts(page("training"))
    catalog = catalog_of(made)
    generations.begin(catalog, made.name)
    trainings.begin(catalog, made.name, 1, "t" * 64, {"network_dim": 32}, [{"picture": "a", "seen": 0}])
    for epoch in (1, 2):
        path = made.folder / "generation-01" / "training-x" / f"badge-{epoch}.safetensors"
        one = Snapshot("t" * 64, epoch, path.relative_to(made.folder), "a" * 64, 0.5 / epoch)
        trainings.add_snapshot(catalog, made.name, one, 20 * epoch, [20 * epoch])
    said = texts(page("training"))
    assert "Generation 1: 2 snapshots" in said
    assert "<td>0.2500</td>" in said and "badge-2.safetensors" in said


# ---- dataset


def test_captions_are_changed_one_or_many(made: Project) -> None:
    assert "No picks yet" in texts(page("dataset"))
    first, second = grown(made)
    ran = page("dataset")
    ran.multiselect(key="batch add").set_value([f"garden, {EVIL}"]).run()
    press(ran, "Apply to all 2 shown")
    captions = {one.candidate_id: one.caption for one in picks.picks(catalog_of(made), made.name)}
    assert all(text.endswith(f", garden, {EVIL}") for text in captions.values())
    for one in (first, second):
        assert (made.dataset_folder / f"{one}.txt").read_text() == captions[one] + "\n"


def test_what_is_not_consistent_is_shown_with_its_remedy(made: Project) -> None:
    own = made.settings.project.tags
    first, second = grown(made)
    growth.recaption(
        made, catalog_of(made), {first: ", ".join([*own, "garden "]), second: f"{EVIL}, gardens, garden"}
    )
    ran = page("dataset")
    assert "*garden* (2)" in texts(ran).replace("\\", "") and f"without *{own[0]}*" in texts(ran)
    ran = press(ran, plain(f"Add {own[0]}"))
    ran = press(ran, plain("Replace gardens with garden"))
    captions = {one.candidate_id: one.caption for one in picks.picks(catalog_of(made), made.name)}
    assert captions == {first: ", ".join([*own, "garden"]), second: f"{EVIL}, garden, {own[0]}"}
    assert "Worth a look" not in texts(ran)


def test_a_caption_is_never_empty_and_never_changed_under_a_run(made: Project) -> None:
    first, second = grown(made)
    catalog = catalog_of(made)
    before = picks.picks(catalog, made.name)
    with pytest.raises(UserError, match="needs at least one tag"):
        growth.recaption(made, catalog, {first: "woman", second: " , "})
    with pytest.raises(UserError, match="has none with this id"):
        growth.recaption(made, catalog, {"f" * 16: "woman"})
    with exclusively(made), pytest.raises(UserError, match="running already"):
        growth.recaption(made, catalog, {first: "woman"})
    assert picks.picks(catalog, made.name) == before
    assert growth.recaption(made, catalog, {first: "woman ,garden", second: before[1].caption}) == 1


@pytest.mark.parametrize("to_format", exporting.FORMATS)
def test_the_dataset_leaves_as_a_zip(made: Project, to_format: str) -> None:
    ids = grown(made)
    with zipfile.ZipFile(io.BytesIO(exporting.zipped(made, catalog_of(made), to_format))) as packed:
        assert packed.testzip() is None
        names = [name.rpartition("/")[2] for name in packed.namelist() if name.endswith(".png")]
    assert sorted(names) == sorted(["original.png", *(f"{one}.png" for one in ids)])


# ---- what was accepted


def test_accept_rates_by_recipe_and_strength(made: Project) -> None:
    grown(made, 6)
    rates = accept_rates.of_project(catalog_of(made), made.name)
    by_recipe = {one.recipe: (one.accepted, one.rejected) for one in rates}
    assert by_recipe == {"vary": (2, 0), "eliminate": (2, 0), "add": (1, 1)}
    assert accept_rates.summed(rates, "strength") == {(1, 0.6): (5, 6)}
    ran = page("generations")
    assert "5 of 6 decided pictures, 83 %" in texts(ran)


# ---- pages of the workspace


def test_without_prefect_the_schedule_says_what_to_start(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plain("sid up") in texts(page("schedule", of_project=False))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert plain("does not answer") in texts(page("schedule", of_project=False))


def test_a_new_project_needs_its_parts(made: Project) -> None:
    ran = page("new_project", of_project=False)
    ran.text_area(key="new caption").set_value(f"woman, {EVIL}").run()
    assert "2 tags" in texts(ran)
    assert f"{EVIL}<" not in texts(ran) and "&lt;img src=x" in texts(ran)
    assert "there is none yet" in texts(press(ran, "Create the project"))
    ran.text_area(key="new caption").set_value("tag, " * 200 + "end").run()
    assert plain("more than 225") in texts(ran)


def test_names_are_shown_as_they_are_and_the_size_that_counts_is_said(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(picture, "PNG")

    def run_verb(workspace: Workspace, arguments: list[str]) -> tuple[str, str]:
        assert arguments[0] == "tag"
        return "woman, red apple\n", ""

    monkeypatch.setattr("review_app.verbs.run_verb", run_verb)
    ran = page("new_project", of_project=False)
    assert "papertown-ink" in field(ran, "Base model").options
    ran.file_uploader(key="new picture").set_value(("anna.png", picture.getvalue(), "image/png")).run()
    assert "300×200 pixels. Trained and drawn at 160×96: the resolution of papertown is 128" in texts(ran)
    field(ran, "Caption").set_value("robot, red apple").run()
    ran = press(ran, "Suggest a caption")
    assert field(ran, "Caption").value == "robot, red apple, woman"


def test_tags_that_the_base_model_does_not_know_are_marked(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered: list[list[str]] = []
    spec = specs.find("papertown")
    folder = tag_checks.folder(made.workspace, spec)
    folder.mkdir(parents=True)
    file_name = made.original.rename(folder / "drawing.webp").name
    drawings = [TagDrawing("robot", 0.1, True, file_name), TagDrawing(EVIL, 0.9, False, file_name)]

    def run_verb(workspace: Workspace, arguments: list[str]) -> tuple[str, str]:
        ordered.append(arguments)
        drawn_tags.write(folder, "a hash", drawings)
        return "", ""

    monkeypatch.setattr(tag_checks.verbs, "run_verb", run_verb)
    ran = page("new_project", of_project=False)
    field(ran, "Caption").set_value(f"robot, {EVIL}").run()
    press(ran, "See how the base model draws them")
    for _ in range(50):
        if "does not seem to know" in texts(ran.run()):
            break
    said = texts(ran)
    assert f"does not seem to know {plain(EVIL)}: " in said and EVIL not in said
    assert ordered == [
        ["draw-tags", "--base=papertown", f"--output={folder}", "--", f"robot, {EVIL}"]
    ]  # and nothing more for the drawings that exist
    assert "See how the base model draws them" not in [one.label for one in ran.button]
