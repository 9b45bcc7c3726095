"""Contact sheets stay within limits, whatever their labels and pictures."""

import pytest
from PIL import Image, ImageFont

from bootstrap.pictures import contact_sheet
from bootstrap.pictures.contact_sheet import Cell, compose


def test_the_work_for_a_label_does_not_grow_with_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []
    font = type(ImageFont.load_default(11))
    measure = font.getlength

    def counted(self, text, *arguments, **named):
        measured.append(len(text))
        return measure(self, text, *arguments, **named)

    monkeypatch.setattr(font, "getlength", counted)
    picture = Image.new("RGB", (64, 64))
    letters = {}
    for length in (2000, 20_000):
        measured.clear()
        compose("a" * length, [Cell(picture, ("b" * length, "c\n" * length))], 1)
        letters[length] = sum(measured)
    assert letters[20_000] == letters[2000] < 50_000


def test_a_label_is_cut_to_the_width_of_its_cell() -> None:
    picture = Image.new("RGB", (64, 64))
    cut = compose("", [Cell(picture, ("b" * 3000,))], 1)
    assert cut.size == compose("", [Cell(picture, ("b",))], 1).size


def test_pictures_are_scaled_down_to_a_sheet_that_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_sheet, "MOST_PIXELS", 2_000_000)
    sheet = compose("many", [Cell(Image.new("RGB", (256, 256)), ("a", "b"))] * 100, 10)
    assert 1_500_000 < sheet.width * sheet.height < 2_500_000
