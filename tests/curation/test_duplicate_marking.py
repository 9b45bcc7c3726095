"""The station `curate`, on files and a catalog."""

import logging

import imagehash
import pytest
import rows
from making import add_drawn, add_published, bring, make_project, open_catalog, scene, shot
from PIL import Image, ImageOps

from bootstrap import images
from bootstrap.catalog import candidate_states, candidates, verdicts
from bootstrap.catalog.candidate_states import NewCandidate
from bootstrap.catalog.states import CandidateState, Verdict
from bootstrap.curation import duplicate_marking
from bootstrap.curation.examining import Examiner
from bootstrap.loop import generation
from bootstrap.project.generation import Generation


def states(catalog, project):
    all_candidates = candidates.candidates(catalog, project.name, state=None)
    return [(candidate.state, candidate.duplicate_of) for candidate in all_candidates]


def test_candidates_are_hashed_and_duplicates_named(project, catalog):
    pictures = [scene(1), scene(2), scene(1), ImageOps.mirror(scene(2)), scene(0), scene(3)]
    ids = add_drawn(project, catalog, 1, pictures)
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    assert states(catalog, project) == [
        ("curated", None),
        ("curated", None),
        ("duplicate", ids[0]),
        ("duplicate", ids[1]),
        ("duplicate", "original"),  # scene 0 is the original
        ("curated", None),
    ]
    for row, picture in zip(rows.read(catalog, "candidate"), pictures, strict=True):
        assert row.image_hash == str(imagehash.phash(picture))
        assert row.image_hash_mirrored == str(imagehash.phash(ImageOps.mirror(picture)))
        assert row.texture > 0


def test_an_original_of_another_size_is_compared_as_training_sees_it(tmp_path):
    project = make_project(tmp_path)
    tall = Image.new("RGB", (512, 700), "white")
    tall.paste(scene(0).resize((512, 512)), (0, 94))  # what a square crop from the middle leaves
    tall.save(project.original)
    catalog = open_catalog(project)
    add_drawn(project, catalog, 1, [scene(0), scene(1)])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    assert states(catalog, project) == [("duplicate", "original"), ("curated", None)]


def test_rejects_of_earlier_generations_do_not_come_back(project, catalog):
    ids = add_published(project, catalog, 1, 3)  # scenes 1001, 1002, 1003
    verdicts.decide(catalog, project.name, [ids[0]], Verdict.REJECT, "tester")
    verdicts.decide(catalog, project.name, [ids[1]], Verdict.ACCEPT, "tester")
    add_drawn(project, catalog, 2, [scene(1001), scene(50), ImageOps.mirror(scene(1002)), scene(1003)])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 2))
    assert states(catalog, project)[3:] == [
        ("duplicate", ids[0]), ("curated", None), ("duplicate", ids[1]), ("duplicate", ids[2]),
    ]  # fmt: skip


def test_a_broken_candidate_is_reported_and_left_out_never_fatal(project, catalog, caplog):
    whole = (project.folder / "original.png").read_bytes()
    pictures = [scene(1), None, b"", b"no picture", whole[: len(whole) // 2], scene(2)]
    ids = add_drawn(project, catalog, 1, pictures)
    reports = []
    with caplog.at_level(logging.WARNING):
        duplicate_marking.mark_duplicates(Generation(project, catalog, 1), reports.append)
    expected = ["curated", "broken", "broken", "broken", "broken", "curated"]
    assert [state for state, _ in states(catalog, project)] == expected
    for broken in ids[1:5]:
        assert broken in caplog.text
    assert reports[-1].detail == "4 broken"
    bring(project, catalog, 1, "curating")
    generation.publish(Generation(project, catalog, 1))
    shown = [candidate.id for candidate in candidates.candidates(catalog, project.name)]
    assert shown == [ids[0], ids[5]]


def test_an_earlier_candidate_whose_file_is_gone_is_no_obstacle(project, catalog, caplog):
    (gone,) = add_published(project, catalog, 1, 1)
    (project.folder / f"generation-01/candidates/{gone}.png").unlink()
    add_drawn(project, catalog, 2, [scene(1001)])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 2))
    assert states(catalog, project)[1] == ("curated", None)
    assert gone in caplog.text


def test_a_run_killed_between_batches_ends_like_an_undisturbed_one(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicate_marking, "BATCH", 4)
    pictures = [scene(number % 5 + 1) for number in range(11)]

    class Killed(BaseException):
        pass

    results = []
    for kill_after in (None, 1, 2):
        project = make_project(tmp_path / str(kill_after))
        catalog = open_catalog(project)
        add_drawn(project, catalog, 1, pictures)
        done = []

        def report(progress, done=done, kill_after=kill_after):
            done.append(progress.done)
            if len(done) == kill_after:
                raise Killed

        if kill_after:
            with pytest.raises(Killed):
                duplicate_marking.mark_duplicates(Generation(project, catalog, 1), report)
            half_done = [state for state, _ in states(catalog, project)]
            assert half_done.count("drawn") == len(pictures) - 4 * kill_after
        duplicate_marking.mark_duplicates(Generation(project, catalog, 1), report)
        results.append(states(catalog, project))
        catalog.close()
    assert results[0] == results[1] == results[2]
    assert [state for state, _ in results[0]] == ["curated"] * 5 + ["duplicate"] * 6


def test_progress_counts_pictures(project, catalog, monkeypatch):
    monkeypatch.setattr(duplicate_marking, "BATCH", 3)
    add_drawn(project, catalog, 1, [scene(number) for number in range(1, 8)])
    told = []
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1), told.append)
    assert [(one.stage, one.done, one.total, one.unit) for one in told] == [
        ("curate", done, 7, "pictures") for done in (3, 6, 7)
    ]


def test_settings_of_the_project_decide(project, catalog):
    text = project.toml.read_text("utf-8")
    line = next(line for line in text.splitlines() if line.startswith("pixel_difference"))
    project.toml.write_text(text.replace(line, "pixel_difference = 0.0"), "utf-8")
    project = type(project)(project.workspace, project.name)
    brighter = Image.eval(scene(1), lambda value: min(255, value + 3))
    add_drawn(project, catalog, 1, [scene(1), brighter, scene(1)], [shot(1), shot(2), shot(3)])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    assert [state for state, _ in states(catalog, project)] == ["curated", "curated", "duplicate"]


def test_candidates_of_another_project_do_not_count(project, catalog, tmp_path):
    add_published(project, catalog, 1, 2)
    other = make_project(tmp_path, "pear")
    add_drawn(other, catalog, 1, [scene(1001)], [shot(9)])
    duplicate_marking.mark_duplicates(Generation(other, catalog, 1))
    assert states(catalog, other) == [("curated", None)]


def test_a_reject_keeps_its_look_alikes_away_even_when_its_file_is_gone(project, catalog):
    ids = add_published(project, catalog, 1, 2)
    verdicts.decide(catalog, project.name, ids, Verdict.REJECT, "tester")
    for candidate_id in ids:
        (project.folder / f"generation-01/candidates/{candidate_id}.png").unlink()
    add_drawn(project, catalog, 2, [ImageOps.mirror(scene(1001)), scene(1002)])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 2))
    assert states(catalog, project)[2:] == [("duplicate", ids[0]), ("duplicate", ids[1])]


@pytest.mark.parametrize("kind", ["dhash", "whash", "colorhash"])
def test_with_another_kind_of_hash_earlier_candidates_are_hashed_anew(project, catalog, kind):
    ids = add_published(project, catalog, 1, 3)
    (project.folder / f"generation-01/candidates/{ids[1]}.png").unlink()
    verdicts.decide(catalog, project.name, [ids[1]], Verdict.REJECT, "tester")
    text = project.toml.read_text("utf-8")
    project.toml.write_text(text.replace('hash = "phash"', f'hash = "{kind}"'), "utf-8")
    project = type(project)(project.workspace, project.name)
    again = [scene(1001), ImageOps.mirror(scene(1002)), scene(70)]
    add_drawn(project, catalog, 2, again)
    duplicate_marking.mark_duplicates(Generation(project, catalog, 2))
    assert states(catalog, project)[3:] == [("duplicate", ids[0]), ("duplicate", ids[1]), ("curated", None)]
    stored = rows.read(catalog, "candidate")
    assert {row.hash_kind for row in stored} == {kind}
    make = getattr(imagehash, kind)
    assert int(str(stored[0].image_hash), 16) == int(str(make(again[0])), 16)


def test_candidates_that_an_earlier_version_curated_are_compared_too(project, catalog):
    ids = add_published(project, catalog, 1, 2)
    rows.remove(catalog, "small_copy")  # that version stored none
    rows.change(catalog, "candidate", coarse=None)
    add_drawn(project, catalog, 2, [scene(1001), scene(60)])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 2))
    assert states(catalog, project)[2:] == [("duplicate", ids[0]), ("curated", None)]


def note_as_drawn(project, catalog):
    """Record measurements as the station `draw` does while pictures are in memory."""
    examiner = Examiner(project)
    drawn = candidates.candidates(catalog, project.name, state=CandidateState.DRAWN)
    pictures = [Image.open(project.folder / candidate.path).convert("RGB") for candidate in drawn]
    new = [
        NewCandidate(candidate.id, candidate.shot, candidate.path, measured=examined.stored)
        for candidate, examined in zip(drawn, examiner.examine(pictures), strict=True)
    ]
    candidate_states.add_drawn(catalog, project.name, drawn[0].generation, new)


def test_what_was_noted_while_drawing_is_not_read_again(project, catalog, monkeypatch):
    add_drawn(project, catalog, 1, [scene(1), scene(2), scene(1), Image.new("RGB", (128, 128), "gray")])
    note_as_drawn(project, catalog)
    opened = []
    monkeypatch.setattr(
        duplicate_marking.images,
        "open_picture",
        lambda path, real=images.open_picture: opened.append(path) or real(path),
    )
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    assert set(opened) == {project.original}
    all_candidates = candidates.candidates(catalog, project.name, state=None)
    assert [candidate.state for candidate in all_candidates] == ["curated", "curated", "duplicate", "curated"]
    assert [candidate.scores.flaw for candidate in all_candidates] == ["", "", "", "blank"]


def test_a_file_that_was_cut_off_after_drawing_is_broken(project, catalog, caplog):
    ids = add_drawn(project, catalog, 1, [scene(number) for number in (1, 2, 3, 4)])
    note_as_drawn(project, catalog)
    paths = [project.folder / f"generation-01/candidates/{candidate_id}.png" for candidate_id in ids]
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:-300])
    paths[2].write_bytes(b"")
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    assert [state for state, _ in states(catalog, project)] == ["broken", "broken", "broken", "curated"]
    assert all(candidate_id in caplog.text for candidate_id in ids[:3])
