"""The station `publish`: thumbnails and sheet are written first, then the candidates are up for review."""

import pytest
from making import add_drawn, bring, scene, shot
from PIL import Image, ImageChops, ImageStat

from bootstrap.catalog import candidates
from bootstrap.curation import duplicate_marking, publishing
from bootstrap.loop import generation
from bootstrap.project.generation import Generation


def curated(project, catalog, pictures, shots=None):
    ids = add_drawn(project, catalog, 1, pictures, shots)
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    return ids


def test_curated_candidates_go_up_with_thumbnails_and_a_sheet(project, catalog):
    wide = scene(3, 400).resize((400, 200))
    curated(project, catalog, [scene(1), scene(1), scene(2), wide])
    assert candidates.candidates(catalog, project.name) == []
    sheet = publishing.publish(Generation(project, catalog, 1))
    assert sheet == project.generation_folder(1) / "sheet.png"

    shown = candidates.candidates(catalog, project.name)
    assert len(shown) == 3
    for candidate, size in zip(shown, [(128, 128), (128, 128), (192, 96)], strict=True):
        with Image.open(project.folder / candidate.thumbnail) as thumbnail:
            assert thumbnail.format == "WEBP" and thumbnail.size == size
    duplicate = next(
        candidate for candidate in candidates.candidates(catalog, project.name, state="duplicate")
    )
    assert not (project.folder / duplicate.thumbnail).exists()

    with Image.open(sheet) as picture:
        width, height = picture.size
        first = picture.convert("RGB").crop((8 + 32, 30, 8 + 32 + 128, 30 + 128))
    assert width == 4 * (192 + 8) + 8 and height > 128  # the original and three candidates in one row
    assert max(ImageStat.Stat(ImageChops.difference(first, scene(0))).mean) < 3  # the original comes first


def test_publishing_again_changes_nothing(project, catalog):
    curated(project, catalog, [scene(1), scene(2)])
    sheet = publishing.publish(Generation(project, catalog, 1))
    before = sheet.read_bytes(), candidates.candidates(catalog, project.name)
    publishing.publish(Generation(project, catalog, 1))
    assert (sheet.read_bytes(), candidates.candidates(catalog, project.name)) == before


def test_a_run_killed_before_the_commit_shows_nothing_and_is_finished_by_the_next(
    project, catalog, monkeypatch
):
    curated(project, catalog, [scene(1), scene(2)])

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(publishing.candidate_states, "publish", die)
        with pytest.raises(Killed):
            publishing.publish(Generation(project, catalog, 1))
    assert candidates.candidates(catalog, project.name) == []
    publishing.publish(Generation(project, catalog, 1))
    assert len(candidates.candidates(catalog, project.name)) == 2


def test_a_picture_lost_after_curation_is_not_put_up(project, catalog):
    lost, kept = curated(project, catalog, [scene(1), scene(2)])
    (project.folder / f"generation-01/candidates/{lost}.png").unlink()
    publishing.publish(Generation(project, catalog, 1))
    assert [candidate.id for candidate in candidates.candidates(catalog, project.name)] == [kept]
    assert candidates.candidate(catalog, project.name, lost).state == "broken"


def test_a_duplicate_is_shown_when_its_representative_cannot_be(project, catalog, caplog):
    ids = add_drawn(project, catalog, 1, [scene(1), scene(1), scene(2), scene(1)])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    path = project.folder / f"generation-01/candidates/{ids[0]}.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:600] + bytes(100) + whole[700:])  # damaged in the middle
    publishing.publish(Generation(project, catalog, 1))
    all_candidates = candidates.candidates(catalog, project.name, state=None)
    assert [(candidate.state, candidate.duplicate_of) for candidate in all_candidates] == [
        ("broken", None),
        ("published", None),
        ("published", None),
        ("duplicate", ids[1]),
    ]
    assert ids[0] in caplog.text


def test_a_generation_of_duplicates_only_has_a_sheet_too(project, catalog):
    curated(project, catalog, [scene(0), scene(0)])
    bring(project, catalog, 1, "curating")
    summary = generation.publish(Generation(project, catalog, 1))
    assert (summary.drawn, summary.duplicates, summary.published) == (2, 2, 0)
    with Image.open(summary.sheet) as sheet:
        assert sheet.width > 128


def test_a_large_generation_has_a_light_sheet(project, catalog, monkeypatch):
    monkeypatch.setattr(publishing, "MAX_ON_SHEET", 5)
    curated(project, catalog, [scene(number) for number in range(1, 13)])
    with Image.open(publishing.publish(Generation(project, catalog, 1))) as sheet:
        assert sheet.width <= 6 * (192 + 8) + 8 and sheet.height < 300
    assert len(candidates.candidates(catalog, project.name)) == 12


def test_labels_say_what_the_recipe_changed():
    gone = shot(1, recipe="eliminate", eliminated=("red apple",))
    assert publishing._label(gone) == ("no red apple", "0.80 of snapshot 4")
    assert publishing._label(shot(2))[0] == "vary"
    swapped = shot(3, recipe="replace", eliminated=("red apple",), added=("blue ball",))
    assert publishing._label(swapped)[0] == "no red apple, with blue ball"
