"""Sheets over two parameters: what is asked for is drawn, what makes no sense is refused before drawing."""

from pathlib import Path

import pytest
import rows
from PIL import Image

from bootstrap.catalog import Catalog, sheets
from bootstrap.drawing.sheet import Axis, draw_sheet, parse_axis
from bootstrap.errors import UserError
from bootstrap.models.family import BaseModel
from bootstrap.progress import Progress, silent
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.upkeep import reindex
from bootstrap.upkeep.reindex import Restored
from tests.drawing.small import small_trained_project


@pytest.fixture(scope="module")
def trained(papertown: BaseModel, originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return small_trained_project(tmp_path_factory.mktemp("sheet"), originals)


def test_each_pair_is_drawn_and_strength_zero_only_once(trained: Project) -> None:
    reports: list[Progress] = []
    catalog = Catalog(trained.workspace.catalog_url)
    x, y = parse_axis("strength=0,0.6,1"), parse_axis("snapshot=1,2")
    path = draw_sheet(Generation(trained, catalog, 1), x, y, None, reports.append)
    assert (reports[-1].done, reports[-1].total) == (5, 5)  # 2 x 2, and one without the LoRA
    with Image.open(path) as sheet:
        assert sheet.width > 4 * 128
        assert sheet.height > 2 * 128


def test_a_third_parameter_goes_below_and_others_than_strength_do(trained: Project) -> None:
    reports: list[Progress] = []
    catalog = Catalog(trained.workspace.catalog_url)
    x, y, z = (parse_axis(text) for text in ("sampler=LCM,DPM++ SDE Karras", "steps=1,2", "clip_skip=1,2"))
    path = draw_sheet(Generation(trained, catalog, 1), x, y, None, reports.append, z)
    assert (reports[-1].done, reports[-1].total) == (8, 8)
    with Image.open(path) as sheet:
        assert sheet.width > 3 * 128
        assert sheet.height > 4 * 128


def test_a_sampler_of_a_sheet_names_its_schedule_or_an_axis_does(trained: Project) -> None:
    catalog = Catalog(trained.workspace.catalog_url)
    x, y = parse_axis("sampler=Euler,DPM++ 2M"), parse_axis("schedule=Karras,SGM Uniform,Beta")
    path = draw_sheet(Generation(trained, catalog, 1), x, y, None, silent)
    with Image.open(path) as sheet:
        assert sheet.height > 3 * 128
    older = parse_axis("sampler=Euler,DPM++ 2M Karras")
    with pytest.raises(
        UserError, match=r"sampler DPM\+\+ 2M Karras names a schedule itself; write DPM\+\+ 2M"
    ):
        draw_sheet(Generation(trained, catalog, 1), older, y, None, silent)
    with pytest.raises(UserError, match="axis schedule: 'Karas' is unknown; use Automatic"):
        parse_axis("schedule=Karas")


def test_sheets_are_in_the_catalog_and_replace_themselves(trained: Project) -> None:
    catalog = Catalog(trained.workspace.catalog_url)
    x, y = parse_axis("steps=1,2"), parse_axis("snapshot=2,1")
    first = draw_sheet(Generation(trained, catalog, 1), x, y, "badge", silent)
    other = draw_sheet(Generation(trained, catalog, 1), x, y, "a badge", silent)
    assert draw_sheet(Generation(trained, catalog, 1), x, y, "badge", silent) == first != other
    newest = sheets.of_project(catalog, trained.name)[:2]
    assert [trained.folder / sheet.path for sheet in newest] == [first, other]
    assert newest[0].axes == {"steps": [1, 2], "snapshot": [2, 1]}
    assert newest[0].title == "steps by snapshot: badge"


def test_a_lost_catalog_gets_its_sheets_back(trained: Project) -> None:
    catalog = Catalog(trained.workspace.catalog_url)
    draw_sheet(Generation(trained, catalog, 1), parse_axis("steps=1"), parse_axis("snapshot=1"), None, silent)
    known = sheets.of_project(catalog, trained.name)
    rows.remove(catalog, "sheet")
    assert reindex.reindex(trained, catalog) == Restored(sheets=len(known))
    restored = sheets.of_project(catalog, trained.name)
    assert sorted(restored, key=lambda sheet: sheet.path) == sorted(known, key=lambda sheet: sheet.path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "strength",
        "strength=",
        "strenght=1",
        "strength=a",
        "strength=9",
        "snapshot=0",
        "sampler=Eulr",
        "clip_skip=13",
    ],
)
def test_a_wrong_axis_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="axis") as raised:
        parse_axis(text)
    assert "\n" not in str(raised.value)


def test_values_are_of_the_parameters_kind() -> None:
    assert parse_axis("strength=-2,2") == Axis("strength", (-2.0, 2.0))
    assert parse_axis("snapshot=2, 4") == Axis("snapshot", (2, 4))
    assert parse_axis("sampler=Euler a,DDIM") == Axis("sampler", ("Euler a", "DDIM"))


@pytest.mark.parametrize(
    ("x", "y", "number", "problem"),
    [
        ("strength=1", "strength=0.5", 1, "different"),
        ("strength=1", "snapshot=7", 1, "no snapshot 7"),
        ("sampler=Euler,LCM", "steps=20,60", 1, "sampler LCM: it takes 50 steps"),
    ],
)
def test_what_cannot_be_drawn_is_refused(trained: Project, x: str, y: str, number: int, problem: str) -> None:
    catalog = Catalog(trained.workspace.catalog_url)
    before = sheets.of_project(catalog, trained.name)
    with pytest.raises(UserError, match=problem):
        draw_sheet(Generation(trained, catalog, number), parse_axis(x), parse_axis(y), None, silent)
    assert sheets.of_project(catalog, trained.name) == before


def test_a_sheet_of_too_many_pictures_or_of_a_prompt_without_end_is_refused(trained: Project) -> None:
    generation = Generation(trained, Catalog(trained.workspace.catalog_url), 1)
    x, y = Axis("seed", tuple(range(1000))), Axis("cfg_scale", tuple(1 + n / 10 for n in range(100)))
    with pytest.raises(UserError, match="1000 x 100 are 100,000 pictures of 128x128, 30,517 at most fit"):
        draw_sheet(generation, x, y, None, silent)
    with pytest.raises(UserError, match="64 levels deep at most"):
        draw_sheet(generation, parse_axis("steps=1"), parse_axis("seed=1"), "(" * 65, silent)
