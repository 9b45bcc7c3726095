"""Tags that the base model knows, and those that it does not know, recognized by their drawings."""

from pathlib import Path

import pytest
from PIL import Image

from bootstrap.drawing import tag_drawings
from bootstrap.errors import UserError
from bootstrap.models.family import BaseModel
from bootstrap.pictures import drawn_tags


def test_a_tag_that_the_base_model_does_not_know_is_flagged(papertown: BaseModel, tmp_path: Path) -> None:
    reports = []
    robot, pelican = tag_drawings.draw_tags(
        papertown.spec, ["robot", "pelican", "robot"], tmp_path, reports.append
    )
    assert (robot.tag, robot.is_known, pelican.tag, pelican.is_known) == ("robot", True, "pelican", False)
    assert robot.sameness < pelican.sameness <= 1
    assert reports[-1].done == reports[-1].total
    for drawing in (robot, pelican):
        with Image.open(tmp_path / drawing.file) as picture:
            assert (picture.format, picture.size) == ("WEBP", (128, 128))
    assert drawn_tags.read(tmp_path) == {"robot": robot, "pelican": pelican}
    assert drawn_tags.read(tmp_path, "another model") == {}
    drawn_again: list = []
    assert tag_drawings.draw_tags(papertown.spec, ["pelican"], tmp_path, drawn_again.append) == [pelican]
    assert drawn_again == []
    (tmp_path / "tags.json").write_text("half of i")
    assert drawn_tags.read(tmp_path) == {}


def test_no_tags_and_too_many_are_refused(papertown: BaseModel, tmp_path: Path) -> None:
    for tags in ([], [str(number) for number in range(tag_drawings.MOST + 1)]):
        with pytest.raises(UserError, match="caption: "):
            tag_drawings.draw_tags(papertown.spec, tags, tmp_path / "none")
    assert not (tmp_path / "none").exists()
