"""Groups of look-alikes, and a person's corrections to them."""

import sys

import pytest
from making import add_drawn, bring, scene
from PIL import Image, ImageOps

from bootstrap.catalog import candidates, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.cli import main
from bootstrap.curation import clusters, duplicate_marking, explaining
from bootstrap.errors import UserError
from bootstrap.loop import generation
from bootstrap.project.generation import Generation


def with_a_spot(picture, by):
    """Return the picture with one brighter place."""
    changed = picture.copy()
    box = (60, 60, 84, 84)
    changed.paste(brighter(picture.crop(box), by), box)
    return changed


def brighter(picture, by):
    return Image.eval(picture, lambda value: min(255, value + by))


@pytest.fixture
def grouped(project, catalog):
    """Publish two groups, a duplicate of the original and a single picture; return their ids in order of drawing."""
    pictures = [
        scene(1),
        scene(2),
        scene(1),
        ImageOps.mirror(scene(1)),
        brighter(scene(2), 3),
        scene(0),
        scene(9),
    ]
    ids = add_drawn(project, catalog, 1, pictures)
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    bring(project, catalog, 1, "curating")
    generation.publish(Generation(project, catalog, 1))
    return ids


def shown(project, catalog):
    return [candidate.id for candidate in candidates.candidates(catalog, project.name)]


def test_groups_are_listed_largest_first(project, catalog, grouped):
    groups = clusters.clusters(catalog, project.name)
    described = [
        (cluster.representative and cluster.representative.id, [duplicate.id for duplicate in cluster.others])
        for cluster in groups
    ]
    assert described == [(grouped[0], grouped[2:4]), (grouped[1], [grouped[4]]), (None, [grouped[5]])]
    assert clusters.clusters(catalog, project.name, generation=2) == []


def test_a_duplicate_can_represent_its_group(project, catalog, grouped):
    clusters.represent(project, catalog, grouped[3])
    assert shown(project, catalog) == [grouped[1], grouped[3], grouped[6]]
    first = clusters.clusters(catalog, project.name)[0]
    assert first.representative.id == grouped[3]
    assert [duplicate.id for duplicate in first.others] == [grouped[0], grouped[2]]
    assert (project.folder / first.representative.thumbnail).is_file()
    add_drawn(project, catalog, 2, [scene(1)])
    duplicate_marking.mark_duplicates(Generation(project, catalog, 2))
    assert (
        candidates.candidates(catalog, project.name, generation=2, state=None)[0].duplicate_of == grouped[3]
    )


def test_a_representative_with_a_verdict_stays(project, catalog, grouped):
    verdicts.decide(catalog, project.name, [grouped[0]], Verdict.ACCEPT, "tester")
    with pytest.raises(UserError, match=f"{grouped[0]}.*verdict.*sid undo"):
        clusters.represent(project, catalog, grouped[2])
    with pytest.raises(UserError, match="no duplicate"):
        clusters.represent(project, catalog, grouped[1])
    with pytest.raises(UserError, match="original"):
        clusters.represent(project, catalog, grouped[5])
    (project.folder / candidates.candidate(catalog, project.name, grouped[4]).path).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        clusters.represent(project, catalog, grouped[4])
    assert shown(project, catalog) == [grouped[0], grouped[1], grouped[6]]


def test_what_is_kept_apart_is_shown_and_stays_so(project, catalog, grouped):
    assert clusters.keep_apart(project, catalog, grouped[1], grouped[4], "tester") == [grouped[4]]
    assert shown(project, catalog) == [grouped[0], grouped[1], grouped[4], grouped[6]]
    assert (project.folder / candidates.candidate(catalog, project.name, grouped[4]).thumbnail).is_file()
    assert clusters.compare_again(project, catalog) == (0, 0)
    assert grouped[4] in shown(project, catalog)
    assert clusters.keep_apart(project, catalog, grouped[4], grouped[1], "tester") == []  # once is enough


def test_a_duplicate_of_a_third_candidate_stays_hidden(project, catalog, grouped):
    assert clusters.keep_apart(project, catalog, grouped[2], grouped[0], "tester") == [grouped[2]]
    # The mirrored candidate was hidden behind the first; it duplicates the third too.
    assert clusters.keep_apart(project, catalog, grouped[3], grouped[0], "tester") == []
    assert candidates.candidate(catalog, project.name, grouped[3]).duplicate_of == grouped[2]


def test_a_candidate_can_be_kept_apart_from_the_original(project, catalog, grouped):
    assert clusters.keep_apart(project, catalog, grouped[5], "original", "tester") == [grouped[5]]
    with pytest.raises(UserError, match="from itself"):
        clusters.keep_apart(project, catalog, grouped[5], grouped[5], "tester")


def test_comparing_again_uses_the_current_settings(project, catalog, grouped):
    text = project.toml.read_text("utf-8")
    line = next(line for line in text.splitlines() if line.startswith("pixel_difference"))
    project.toml.write_text(text.replace(line, "pixel_difference = 0.001"), "utf-8")
    strict = type(project)(project.workspace, project.name)
    assert clusters.compare_again(strict, catalog) == (1, 0)
    assert shown(project, catalog) == [grouped[0], grouped[1], grouped[4], grouped[6]]
    verdicts.decide(catalog, project.name, [grouped[4]], Verdict.REJECT, "tester")
    project.toml.write_text(text, "utf-8")
    again = type(project)(project.workspace, project.name)
    # The rejected candidate stays, so its duplicate is hidden now.
    assert clusters.compare_again(again, catalog) == (0, 1)
    assert candidates.candidate(catalog, project.name, grouped[1]).duplicate_of == grouped[4]


def test_a_chosen_representative_stays_after_comparing_again(project, catalog, grouped):
    clusters.represent(project, catalog, grouped[3])
    assert clusters.compare_again(project, catalog) == (0, 0)
    assert grouped[3] in shown(project, catalog)


def test_a_project_without_candidates_has_nothing_to_compare(project, catalog):
    assert clusters.compare_again(project, catalog) == (0, 0)
    assert clusters.clusters(catalog, project.name) == []


def test_pairs_on_both_sides_of_the_line_are_listed_with_their_distances(project, catalog):
    base = scene(5)
    pictures = [base, *(with_a_spot(base, by) for by in (4, 15, 22, 30, 38)), scene(6)]
    ids = add_drawn(project, catalog, 1, pictures)
    duplicate_marking.mark_duplicates(Generation(project, catalog, 1))
    pairs = explaining.pairs_around(project, catalog, 6)
    assert 2 <= len(pairs) <= 6
    limit = project.settings.dedupe.pixel_difference
    differences = [pair.difference for pair in pairs]
    assert min(differences) <= limit < max(differences)
    assert all(ids[6] not in (pair.earlier, pair.later) for pair in pairs)
    sheet = project.folder / "pairs.png"
    explaining.draw_pairs(project, catalog, pairs, sheet)
    with Image.open(sheet) as picture:
        assert picture.width > 384
    with pytest.raises(UserError, match="no two"):
        explaining.draw_pairs(project, catalog, [], sheet)


def test_the_verbs(project, catalog, grouped, monkeypatch, capsys):
    def sid(*arguments):
        monkeypatch.setattr(
            sys, "argv", ["sid", "--workspace", str(project.workspace.folder), *map(str, arguments)]
        )
        with pytest.raises(SystemExit) as ended:
            main.main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out + output.err

    code, output = sid("dedupe", project.name)
    assert code == 0 and f"{grouped[1]}: {grouped[4]}" in output and "4 duplicates in 3 groups" in output
    code, output = sid("dedupe", project.name, "--explain")
    assert code == 0 and "bits" in output and (project.folder / "pairs.png").is_file()
    code, output = sid("represent", project.name, grouped[2][:9])
    assert code == 0 and grouped[2] in output
    code, output = sid("keep-apart", project.name, grouped[4], grouped[1])
    assert code == 0 and f"shown now: {grouped[4]}" in output
    assert sid("dedupe", project.name, "--again")[0] == 0
    code, output = sid("keep-apart", project.name, "nothing", grouped[1])
    assert code == 2 and "nothing" in output
