"""Changes of the dataset through the page's route, and their undo."""

import json

import pytest
from browser import populate
from starlette.testclient import TestClient

from bootstrap.catalog import picks, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.dataset import growth, removal
from bootstrap.dataset.retagging import TagEdit
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from bootstrap.project.running import exclusively
from review_app import dataset_changes
from review_app.urls import dataset_url
from review_app.workspace import catalog_of
from tests.review_app.test_project_pages import field, grown, page, press, texts

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


def entries(made: Project) -> list[picks.Pick]:
    return picks.picks(catalog_of(made), made.name)


def files(made: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in made.dataset_folder.iterdir()}


def test_captions_and_removed_picks_come_back_one_change_at_a_time(made: Project, client: TestClient) -> None:
    first, second, third = grown(made, 4)
    before, files_before = entries(made), files(made)
    url = dataset_url(made)
    answer = client.post(url, json={"captions": {first: " woman ,garden"}}, headers=SAME_ORIGIN).json()
    assert answer == {"captions": {first: "woman, garden"}, "what": "1 caption changed"}
    answer = client.post(url, json={"remove": [first, third]}, headers=SAME_ORIGIN).json()
    assert answer["what"] == "2 picks removed"
    assert [one.candidate_id for one in entries(made)] == [second]
    assert sorted(files(made)) == sorted([f"{second}.png", f"{second}.txt"])
    assert populate.verdicts(made)[first] == "reject"
    assert not picks.changes(catalog_of(made), made.name)  # growing does not bring them back
    ran = page("dataset")
    ran = press(ran, "Undo: 2 picks removed")
    ran = press(ran, "Undo: 1 caption changed")
    assert (
        entries(made) == before and files(made) == files_before
    )  # in their places: the training's id is the same
    assert populate.verdicts(made)[first] == "accept"
    assert "Undo" in [one.label for one in ran.button]


def test_a_bulk_change_is_undone_and_a_remedy_too(made: Project) -> None:
    grown(made)
    before = entries(made)
    ran = page("dataset")
    ran.multiselect(key="batch add").set_value(["garden, smile"]).run()
    ran = press(ran, "Apply to all 2 shown")
    assert [one.caption for one in entries(made)] == [f"{one.caption}, garden" for one in before]
    press(ran, "Undo: 2 captions changed")
    assert entries(made) == before


def test_the_last_pick_can_be_removed_and_come_back(made: Project) -> None:
    (only,) = grown(made, 2)
    dataset_changes.remove(made, catalog_of(made), [only], "anna")
    ran = page("dataset")
    assert "No picks yet" in texts(ran)
    press(ran, "Undo: 1 pick removed")
    assert [one.candidate_id for one in entries(made)] == [only]


def test_what_was_changed_elsewhere_since_is_not_undone(made: Project) -> None:
    first, _ = grown(made)
    catalog = catalog_of(made)
    dataset_changes.recaption(made, catalog, {first: "woman, garden"})
    growth.recaption(made, catalog, {first: "woman, library"})
    with pytest.raises(UserError, match="changed elsewhere since"):
        dataset_changes.undo(made, catalog, "anna")
    assert entries(made)[0].caption == "woman, library"
    with pytest.raises(UserError, match="no change of the dataset to undo"):
        dataset_changes.undo(made, catalog, "anna")


def test_what_grew_back_meanwhile_stays_once(made: Project) -> None:
    first, second = grown(made)
    catalog = catalog_of(made)
    removed = removal.remove(made, catalog, [first, second], "anna")
    verdicts.decide(catalog, made.name, [first], Verdict.ACCEPT, "anna")
    populate.add_generation(made, 1)
    growth.grow(made, catalog)
    assert removal.put_back(made, catalog, removed, "anna") == 1
    assert sorted(one.candidate_id for one in entries(made)) == sorted([first, second])
    assert sorted(files(made)) == sorted(
        f"{one}{ending}" for one in (first, second) for ending in (".png", ".txt")
    )


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"captions": {"f" * 16: "woman"}}, 409, "has none with this id"),
        ({"remove": ["f" * 16]}, 409, "has none with this id"),
        ({"captions": {"FIRST": " , "}}, 409, "needs at least one tag"),
        ({"captions": {"FIRST": "a" * 20_001}}, 409, "20,000 characters"),
        ({"captions": []}, 400, "captions"),
        ({"undo": True}, 400, "undo"),
    ],
)
def test_what_cannot_be_changed_is_refused_in_one_line(
    made: Project, client: TestClient, body: dict, status: int, why: str
) -> None:
    first, _ = grown(made)
    before = entries(made)
    text = json.dumps(body).replace("FIRST", first)
    answer = client.post(dataset_url(made), content=text, headers=SAME_ORIGIN)
    foreign = {"origin": "http://a.example"}
    assert client.post(dataset_url(made), content=text, headers=foreign).status_code == 403
    assert answer.status_code == status and why in answer.text
    assert answer.text.isprintable() and len(answer.text) <= 500
    assert entries(made) == before and not dataset_changes.last(made)


def test_while_a_run_works_nothing_is_changed_or_undone(made: Project) -> None:
    first, _ = grown(made)
    catalog = catalog_of(made)
    dataset_changes.retagged(made, catalog, TagEdit(add=("garden",)), [first])
    before = entries(made)
    with exclusively(made):
        for change in (
            lambda: dataset_changes.remove(made, catalog, [first], "anna"),
            lambda: dataset_changes.undo(made, catalog, "anna"),
        ):
            with pytest.raises(UserError, match="running already"):
                change()
    assert entries(made) == before and dataset_changes.last(made) == "1 caption changed"


def test_tags_are_suggested_with_their_counts(made: Project) -> None:
    first, _ = grown(made)
    growth.recaption(made, catalog_of(made), {first: "woman, garden"})
    ran = page("dataset")
    options = ran.multiselect(key="batch add").options
    assert options[0] == "woman (3)" and "garden (1)" in options
    assert field(ran, "Filter").value == ""
