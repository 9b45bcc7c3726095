"""Pictures by URL: the files that the catalog names, for our own pages, and nothing else."""

import io
import json
import os
import zipfile

import pytest
import rows
from browser import populate
from PIL import Image
from starlette.testclient import TestClient

from bootstrap.catalog import generations, sheets, trainings
from bootstrap.catalog.trainings import Snapshot
from bootstrap.drawing import sheet_file
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from review_app import routes
from review_app.workspace import catalog_of


def test_picture_and_thumbnail_are_served_for_good(made: Project, client: TestClient) -> None:
    (one,) = populate.add_generation(made, 1)
    for url, kind, side in (
        (routes.picture_url(made, one), "image/png", 128),
        (routes.thumbnail_url(made, one), "image/webp", 128),
        (routes.original_url(made), "image/png", 128),
    ):
        answer = client.get(url)
        assert answer.status_code == 200, url
        assert answer.headers["content-type"] == kind
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert Image.open(io.BytesIO(answer.content)).size == (side, side)


def test_a_missing_thumbnail_is_made(made: Project, client: TestClient) -> None:
    (one,) = populate.add_generation(made, 1, thumbnails=False)
    answer = client.get(routes.thumbnail_url(made, one))
    assert Image.open(io.BytesIO(answer.content)).format == "WEBP"
    assert (made.folder / "generation-01" / "thumbnails" / f"{one}.webp").is_file()


def test_a_project_with_spaces_is_found(made: Project, client: TestClient) -> None:
    spaced = populate.make_project(made.workspace.folder, "red apple 2")
    (one,) = populate.add_generation(spaced, 1)
    assert client.get(routes.picture_url(spaced, one)).status_code == 200
    assert client.get(routes.original_url(spaced)).status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "/picture/badge/ffffffffffffffff.png",
        "/picture/badge/f.png",
        "/picture/nobody/ffffffffffffffff.png",
        "/picture/badge/..%2f..%2foriginal.png",
        "/picture/..%2fbadge/ffffffffffffffff.png",
        "/original/..%2f..%2fcatalog.png",
        "/thumbnail/badge/ffffffffffffffff.webp",
        "/sheet/badge/1.png",
        "/sheet/badge/99999999999999999999.png",
        f"/sheet/badge/{'9' * 5000}.png",
        f"/sheet/badge/{'9' * 5000}/a.png",
        "/sheet/badge/-1.png",
        "/picture/a%00b/ffffffffffffffff.png",
    ],
)
def test_what_is_not_there_is_not_found(made: Project, client: TestClient, url: str) -> None:
    populate.add_generation(made, 1)
    assert client.get(url).status_code == 404


def test_a_path_in_the_catalog_does_not_lead_out_of_the_project(made: Project, client: TestClient) -> None:
    (one,) = populate.add_generation(made, 1)
    (made.workspace.folder / "secret.png").write_bytes(made.original.read_bytes())
    for path in ("../../secret.png", str(made.workspace.folder / "secret.png")):
        rows.change(catalog_of(made), "candidate", path=path)
        assert client.get(routes.picture_url(made, one)).status_code == 404
        assert client.get(routes.thumbnail_url(made, one)).status_code == 404


def test_a_damaged_picture_is_a_missing_thumbnail(made: Project, client: TestClient) -> None:
    (one,) = populate.add_generation(made, 1, thumbnails=False)
    (made.folder / "generation-01" / "candidates" / f"{one}.png").write_bytes(b"no picture")
    assert client.get(routes.thumbnail_url(made, one)).status_code == 404


def test_a_sheet_of_the_catalog_is_served_and_no_other_file(made: Project, client: TestClient) -> None:
    populate.add_generation(made, 1)
    sheet = sheet_file.sheet_for(
        Generation(made, catalog_of(made), 1), {"strength": [0.5], "snapshot": [1]}, ""
    )
    sheet_file.save(Image.new("RGB", (8, 8)), sheet, made)
    stray = made.folder / sheet.path.with_name("other.png")
    stray.write_bytes(made.original.read_bytes())
    sheets.note(catalog_of(made), made.name, sheet)
    assert client.get(routes.drawn_sheet_url(made, sheet)).status_code == 200
    assert client.get(f"/sheet/{made.name}/1/{stray.name}").status_code == 404
    assert client.get(f"/sheet/{made.name}/2/{sheet.path.name}").status_code == 404


def test_the_contact_sheet_is_served_and_asked_for_again(made: Project, client: TestClient) -> None:
    populate.add_generation(made, 1)
    routes.sheet_path(made, 1).write_bytes(made.original.read_bytes())
    answer = client.get(routes.sheet_url(made, 1))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache")


def test_only_regular_files_are_served_and_no_pipe_is_waited_for(made: Project, client: TestClient) -> None:
    (one,) = populate.add_generation(made, 1)
    picture = made.folder / "generation-01" / "candidates" / f"{one}.png"
    picture.unlink()
    os.mkfifo(picture)
    assert client.get(routes.picture_url(made, one)).status_code == 404


_ACT = {"browser": "b", "acts": [], "generation": 1, "holding": [], "first": []}


@pytest.mark.parametrize(
    "body",
    [
        "[" * 5000, "null", "[]", "7", '{"browser": NaN}', '{"browser": "b", "browser": "c"}', '{"browser": "\\ud800"}',
        json.dumps({**_ACT, "generation": 10**30}), json.dumps({**_ACT, "generation": 2**63 - 1}),
        json.dumps({**_ACT, "acts": {}}), json.dumps({**_ACT, "acts": [[]]}), json.dumps({**_ACT, "holding": ["x"]}),
        json.dumps({**_ACT, "\x1b\u202e" * 999: 1}), b"\xff", "",
    ],
    ids=range(15),
)  # fmt: skip
def test_bodies_that_no_page_sends_are_refused_in_one_line(
    made: Project, client: TestClient, body: str | bytes
) -> None:
    populate.add_generation(made, 1)
    for url in (routes.deck_url(made), f"/alike/{made.name}"):
        answer = client.post(url, content=body, headers={"sec-fetch-site": "same-origin"})
        assert answer.status_code == 400, answer.text
        assert answer.text.isprintable() and 0 < len(answer.text) <= 500


@pytest.mark.parametrize(
    "criteria", ["[", "[]", "{" * 999, '{"least": NaN}', '{"generation": 1e999}', '{"x": 1}', '{"tags": "a"}']
)
def test_filters_that_no_grid_sends_are_refused_in_one_line(
    made: Project, client: TestClient, criteria: str
) -> None:
    answer = client.get(routes.cells_url(made), params={"filter": criteria})
    assert answer.status_code == 400
    assert answer.text.isprintable() and 0 < len(answer.text) <= 500


def test_a_damaged_row_is_one_line_for_the_deck_and_the_grid(made: Project, client: TestClient) -> None:
    populate.add_generation(made, 1)
    rows.change(catalog_of(made), "candidate", shot={"prompt": []})
    headers = {"sec-fetch-site": "same-origin"}
    for answer in (
        client.post(routes.deck_url(made), json={**_ACT, "want": 3}, headers=headers),
        client.get(routes.cells_url(made)),
    ):
        assert answer.status_code == 500 and "catalog: " in answer.text
        assert answer.text.isprintable() and len(answer.text) <= 500


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 30, "-1", "1.5"])
def test_a_number_that_no_generation_has_is_not_found(made: Project, client: TestClient, number: str) -> None:
    for url in (f"/sheet/{made.name}/{number}.png", f"/sheet/{made.name}/{number}/a.png"):
        assert client.get(url).status_code == 404


def test_a_filter_of_countless_tags_is_refused(made: Project, client: TestClient) -> None:
    filter_ = json.dumps({"tags": ["a"] * 1001})
    answer = client.get(routes.cells_url(made), params={"filter": filter_})
    assert answer.status_code == 400 and "1000" in answer.text


def test_a_generation_beyond_all_is_refused(made: Project, client: TestClient) -> None:
    answer = client.post(
        routes.deck_url(made),
        json={"browser": "b", "generation": 10**30, "want": 1},
        headers={"sec-fetch-site": "same-origin"},
    )
    assert answer.status_code == 400


def test_a_snapshot_and_the_dataset_are_downloaded_as_files(made: Project, client: TestClient) -> None:
    catalog = catalog_of(made)
    generations.begin(catalog, made.name)
    trainings.begin(catalog, made.name, 1, "a" * 64, {}, [{"picture": "a", "seen": 0}])
    path = made.generation_folder(1) / "training-aaaaaaaa" / "badge-1.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a LoRA")
    snapshot = Snapshot("a" * 64, 1, path.relative_to(made.folder), "a" * 64, 0.5)
    trainings.add_snapshot(catalog, made.name, snapshot, 20, [20])
    answer = client.get(routes.snapshot_url(made, snapshot))
    assert answer.content == b"a LoRA"
    assert answer.headers["content-disposition"] == 'attachment; filename="badge-1.safetensors"'
    path.unlink()
    assert client.get(routes.snapshot_url(made, snapshot)).status_code == 404
    answer = client.get(routes.export_url(made, "kohya"))
    assert answer.headers["content-disposition"].startswith("attachment; filename")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert {name.rpartition("/")[2] for name in packed.namelist()} == {"original.png", "original.txt"}
    small = client.get(routes.small_original_url(made))
    assert Image.open(io.BytesIO(small.content)).format == "WEBP"


@pytest.mark.parametrize(
    "url",
    [
        f"/snapshot/badge/{'a' * 64}/1.safetensors", "/snapshot/badge/..%2f/1.safetensors", "/export/badge/tar.zip",
        f"/snapshot/badge/{'a' * 64}/{'9' * 5000}.safetensors", "/snapshot/nobody/a/1.safetensors",
        "/export/nobody/kohya.zip", "/small-original/nobody.webp", "/snapshot/badge/a%00b/1.safetensors",
    ],
)  # fmt: skip
def test_what_there_is_not_to_download_is_not_found(made: Project, client: TestClient, url: str) -> None:
    answer = client.get(url)
    assert answer.status_code == 404 and answer.text.isprintable()


def test_which_generations_are_ready_is_told_for_all_projects(made: Project, client: TestClient) -> None:
    assert client.get("/ready").json() == {}
    populate.add_generation(made, 1)
    populate.draw(populate.make_project(made.workspace.folder, "crown"), 1)
    assert client.get("/ready").json() == {
        "badge": {"generation": 1, "ready": True},
        "crown": {"generation": 1, "ready": False},
    }
