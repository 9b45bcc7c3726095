"""The queue: likely picks first, varied, and never delayed by the model."""

import itertools
import time

import numpy as np
import pytest
import rows
from making import add_published
from typer.testing import CliRunner

from bootstrap.catalog import candidates, hands, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.cli.main import _load_verbs, app
from bootstrap.curation import ranking
from bootstrap.curation.ranking import RankedCandidate, arrange_queue, learn_likelihoods
from bootstrap.errors import UserError
from bootstrap.project.generation import Generation
from review_app import deck_server

NO_LOOKS = np.zeros((200, 1), np.float32)


def row(number, verdict="undecided", recipe="vary", strength=0.6, scores=(0.5, 0.5, 0.5, None)):
    return RankedCandidate(number, 1, Verdict(verdict), 0, recipe, strength, 2, scores)


def test_without_verdicts_the_scores_decide():
    rows = [
        row(0, scores=(0.2, 0.1, None, None)),
        row(1, scores=(0.9, 0.8, None, None)),
        row(2, scores=(0.5,) * 4),
    ]
    learned = learn_likelihoods(rows, NO_LOOKS[:3])
    assert not learned.is_learned
    assert np.argsort(-learned.likely).tolist() == [1, 2, 0]


def test_candidates_without_any_score_are_all_alike():
    assert (
        len(set(learn_likelihoods([row(n, scores=(None,) * 4) for n in range(4)], NO_LOOKS[:4]).likely)) == 1
    )


@pytest.mark.parametrize("by", ["recipe", "strength", "score", "looks"])
def test_verdicts_teach_whatever_they_go_by(by):
    rng = np.random.default_rng(0)
    good = rng.random(200) < 0.4
    vectors = rng.standard_normal((200, 64)).astype(np.float32)
    if by == "looks":
        vectors[:, 0] += np.where(good, 8, -8)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [
        row(
            number,
            ("accept" if good[number] else "reject") if number < 60 else "undecided",
            recipe="add" if by == "recipe" and good[number] else "vary",
            strength=0.9 if by == "strength" and good[number] else 0.5,
            scores=(0.9 if by == "score" and good[number] else 0.4, *rng.random(3)),
        )
        for number in range(200)
    ]
    learned = learn_likelihoods(rows, vectors)
    assert learned.is_learned
    assert learned.likely[60:][good[60:]].min() > learned.likely[60:][~good[60:]].max()


def test_verdicts_of_one_kind_alone_teach_nothing():
    assert not learn_likelihoods([row(n, "accept") for n in range(20)], NO_LOOKS[:20]).is_learned


def test_look_alikes_do_not_come_in_a_run():
    vectors = np.zeros((12, 4), np.float32)
    likely = np.zeros(12)
    for number in range(12):
        vectors[number, number % 4] = 1
        likely[number] = 0.9 - 0.1 * (number % 4)  # each kind is likelier than the next
    order = arrange_queue(likely, vectors, with_open=False)
    assert sorted(order) == list(range(12))
    kinds = [number % 4 for number in order]
    assert kinds[0] == 0
    assert all(kind != next_kind for kind, next_kind in itertools.pairwise(kinds[:8]))


def test_without_looks_the_order_is_that_of_likelihood():
    likely = np.random.default_rng(1).random(50)
    assert arrange_queue(likely, NO_LOOKS[:50], False) == np.argsort(-likely).tolist()


def test_some_places_go_to_what_the_verdicts_leave_open():
    likely = np.linspace(0, 1, 60)
    order = arrange_queue(likely, NO_LOOKS[:60], True)
    assert [abs(likely[number] - 0.5) < 0.1 for number in order[7:24:8]] == [True] * 3
    assert order[:7] == list(range(59, 52, -1))


def give(catalog, project, ids, verdict):
    verdicts.decide(catalog, project.name, ids, verdict, "tester")


def liked(project, catalog, ids):
    """Add vectors that separate even candidates from odd ones, and such verdicts on the first twelve."""
    row_id_of = {row.shot_id: row.id for row in rows.read(catalog, "candidate")}
    for index, candidate_id in enumerate(ids):
        vector = np.array([1, 0.1] if index % 2 else [-1, 0.1], np.float16)
        rows.add(
            catalog, "feature", candidate_id=row_id_of[candidate_id], embedder="test", vector=vector.tobytes()
        )
    give(catalog, project, ids[1:12:2], Verdict.ACCEPT)
    give(catalog, project, ids[0:12:2], Verdict.REJECT)


def test_the_queue_follows_the_verdicts_and_the_drawn_order_stays(project, catalog):
    ids = add_published(project, catalog, 1, 20)
    drawn = [candidate.id for candidate in candidates.candidates(catalog, project.name)]
    assert drawn == ids
    liked(project, catalog, ids)
    ranking.rank(Generation(project, catalog, 1))
    queue = [
        candidate.id
        for candidate in candidates.candidates(catalog, project.name, ranked=True)
        if candidate.verdict == "undecided"
    ]
    assert set(queue) == set(ids[12:])
    places = [queue.index(candidate) for candidate in ids[12:]]
    assert sum(places[1::2]) < sum(places[0::2]) and 0 in places[1::2]
    assert [candidate.id for candidate in hands.deal(catalog, project.name, 1, "browser", 1).new] == queue[:1]
    assert [candidate.id for candidate in candidates.candidates(catalog, project.name)] == drawn
    assert {candidate.verdict for candidate in candidates.candidates(catalog, project.name)} == {
        "accept",
        "reject",
        "undecided",
    }


def test_what_the_reviewer_looks_at_stays_first(project, catalog):
    ids = add_published(project, catalog, 1, 20)
    before = [candidate.id for candidate in candidates.candidates(catalog, project.name, ranked=True)]
    liked(project, catalog, ids)
    ranking.rank(Generation(project, catalog, 1), staying=3)
    undecided = [candidate for candidate in before if candidate in ids[12:]]
    assert [
        candidate.id for candidate in hands.deal(catalog, project.name, 1, "browser", 3).new
    ] == undecided[:3]


def decide(project, catalog, candidate_id, verdict):
    act = deck_server.SentAct(id=f"{verdict} {candidate_id}", do=verdict, seen={candidate_id: "undecided"})
    answer = deck_server.answer(
        project, catalog, deck_server.Request(browser="b", generation=1, acts=[act]), "t"
    )
    assert not answer["refused"]


def test_ranking_in_the_background_never_holds_a_verdict_up(project, catalog, monkeypatch):
    ids = add_published(project, catalog, 1, 4)
    ran = []

    def slowly(*arguments):
        time.sleep(1.5)
        ran.append(arguments)

    monkeypatch.setattr(ranking, "rank", slowly)
    started = time.monotonic()
    for candidate_id in ids[:3]:
        decide(project, catalog, candidate_id, "accept")
    assert not ran and time.monotonic() - started < 1.5
    ranking._background.submit(lambda: None).result(timeout=30)
    assert 1 <= len(ran) < 3  # calls while it waited were merged
    decide(project, catalog, ids[3], "accept")
    ranking._background.submit(lambda: None).result(timeout=30)
    assert len(ran) < 3  # no ranking soon after a long one


def test_a_ranking_that_fails_is_logged_and_nothing_else(project, catalog, monkeypatch, caplog):
    (candidate_id,) = add_published(project, catalog, 1, 1)
    monkeypatch.setattr(ranking, "read_candidates", lambda *arguments: 1 / 0)
    decide(project, catalog, candidate_id, "reject")
    ranking._background.submit(lambda: None).result(timeout=30)
    assert "ranking failed" in caplog.text


def test_what_is_unlikely_is_rejected_after_a_person_agrees_and_taken_back_at_once(project, catalog):
    ids = add_published(project, catalog, 1, 20)
    command = [
        "--workspace",
        str(project.workspace.folder),
        "reject-unlikely",
        project.name,
        "--below",
        "0.4",
    ]
    _load_verbs()
    early = CliRunner().invoke(app, command)
    assert isinstance(early.exception, UserError) and "accept and reject at least 5 each" in str(
        early.exception
    )
    liked(project, catalog, ids)

    def undecided():
        open_candidates = candidates.candidates(catalog, project.name, verdict="undecided")
        return [candidate.id for candidate in open_candidates]

    assert "Reject them?" in CliRunner().invoke(app, command, input="n\n").output
    assert undecided() == ids[12:]
    output = CliRunner().invoke(app, command, input="y\n").output
    assert "4 of 8 undecided candidates are less likely than 0.4" in output
    assert undecided() == ids[13::2]
    CliRunner().invoke(app, ["--workspace", str(project.workspace.folder), "undo", project.name])
    assert undecided() == ids[12:]
