"""The server's part of the deck: an act counts once, and a candidate is in one browser at a time."""

from collections.abc import Iterator
from typing import Any

import pytest
import rows
from browser import populate
from making import add_drawn, bring, scene
from starlette.applications import Starlette
from starlette.testclient import TestClient

from bootstrap.catalog import candidates, generations, tables, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.curation import duplicate_marking
from bootstrap.loop import generation
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from review_app import routes
from review_app.deck_server import generation_to_review
from review_app.workspace import catalog_of

OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(Starlette(routes=routes.routes())) as client:
        yield client


def ask(client: TestClient, browser: str = "one", acts: list[dict] | None = None, **more: object) -> Any:
    request = {"browser": browser, "generation": 1, "acts": acts or [], **more}
    answer = client.post("/deck/badge", json=request, headers=OURS)
    assert answer.status_code == 200, answer.text
    return answer.json()


def act(name: str, do: str, candidate: str, seen: str = "undecided", **more: str) -> dict:
    return {"id": name, "do": do, "seen": {candidate: seen}, **more}


def dealt(answer: Any) -> list[str]:
    return [card["id"] for card in answer["cards"]]


def test_the_next_ones_are_handed_out_to_one_browser_only(made: Project, client: TestClient) -> None:
    ids = populate.add_generation(made, 7)
    first, second = ask(client, "one", want=3), ask(client, "two", want=3)
    assert (dealt(first), dealt(second)) == (ids[:3], ids[3:6])
    assert first["counts"] == {"total": 7, "accepted": 0, "rejected": 0}
    last = ask(client, "two", want=9, holding=ids[3:6])
    assert (dealt(last), first["elsewhere"], last["elsewhere"]) == (ids[6:], 0, 3)
    assert ask(client, "two", holding=[ids[0], ids[3]])["kept"] == [
        ids[3]
    ]  # it does not keep what another browser has
    ask(client, "one", leaving=True)
    assert dealt(ask(client, "two", want=9, holding=ids[3:])) == ids[:3]


def test_what_a_browser_no_longer_holds_is_free_at_once(made: Project, client: TestClient) -> None:
    ids = populate.add_generation(made, 4)
    assert dealt(ask(client, "one", want=3)) == ids[:3]
    ask(client, "one", holding=ids[:1])
    other = ask(client, "two", want=9)
    assert (dealt(other), other["elsewhere"], other["browsers"]) == (ids[1:], 1, 1)


def test_only_a_part_of_the_generation_is_handed_out(made: Project, client: TestClient) -> None:
    ids = populate.add_generation(made, 9)
    verdicts.decide(catalog_of(made), made.name, [ids[2]], Verdict.ACCEPT, "ann")
    only = {"recipes": ["add"]}
    answer = ask(client, want=9, only=only, first=[ids[2], ids[7]])
    assert sorted(dealt(answer)[:2]) == sorted([ids[2], ids[7]])  # somebody asked for these
    assert dealt(answer)[2:] == [ids[5], ids[8]]
    assert answer["counts"] == {"total": 3, "accepted": 1, "rejected": 0}
    last = ask(client, "two", want=9, only=only)
    assert (dealt(last), last["elsewhere"]) == ([], 2)
    wrong = {"browser": "b", "generation": 1, "only": {"beauty": 1}}
    assert client.post("/deck/badge", json=wrong, headers=OURS).status_code == 400


def test_what_a_crashed_browser_held_is_free_after_a_while(made: Project, client: TestClient) -> None:
    (only,) = populate.add_generation(made, 1)
    assert dealt(ask(client, "crashed", want=1)) == [only]
    assert dealt(ask(client, "other", want=1)) == []
    rows.change(catalog_of(made), "candidate", held_until=tables.now())  # as if time had passed
    assert dealt(ask(client, "other", want=1)) == [only]


def test_an_act_that_is_sent_again_counts_once(made: Project, client: TestClient) -> None:
    first, second, _ = populate.add_generation(made, 3)
    acts = [
        act("a", "accept", first),
        act("b", "reject", second, reason="anatomy"),
        act("c", "undo", first, "accept", of="a"),
        act("d", "reject", first),
    ]
    for _ in range(2):
        answer = ask(client, acts=acts)
        assert (answer["done"], answer["refused"]) == (["a", "b", "c", "d"], [])
    assert populate.given(made) == [
        (first, "accept", ""),
        (second, "reject", "anatomy"),
        (first, "reject", ""),
    ]
    assert list(populate.verdicts(made).values()) == ["reject", "reject", "undecided"]


def test_a_verdict_on_something_else_than_was_seen_is_refused(made: Project, client: TestClient) -> None:
    first, second = populate.add_generation(made, 2)
    verdicts.decide(catalog_of(made), made.name, [first], Verdict.ACCEPT, "ann")
    answer = ask(client, acts=[act("late", "reject", first), act("good", "accept", second)])
    assert answer["refused"] == [
        {"act": "late", "candidate": first, "why": "accepted by ann meanwhile; that stands"}
    ]
    assert answer["done"] == ["late", "good"]  # neither is to be sent again
    assert set(populate.verdicts(made).values()) == {"accept"}
    verdicts.decide(catalog_of(made), made.name, [second], Verdict.REJECT, "ann")
    assert ask(client, acts=[act("undo", "undo", second, "accept", of="good")])["refused"]
    assert populate.verdicts(made)[second] == "reject"


def test_many_verdicts_of_one_act_are_undone_together(made: Project, client: TestClient) -> None:
    ids = populate.add_generation(made, 5)
    everything = {"id": "many", "do": "reject", "seen": dict.fromkeys(ids, "undecided")}
    past = ask(client, acts=[act("one", "accept", ids[0]), everything], past="")
    assert [one["candidate"] for one in past["refused"]] == [ids[0]]
    assert [(one["id"], len(one["given"]), one["card"]["id"]) for one in past["past"]] == [
        ("many", 4, ids[1]),
        ("one", 1, ids[0]),
    ]
    assert past["past_ends"] is True
    ask(client, acts=[{"id": "back", "do": "undo", "seen": past["past"][0]["given"], "of": "many"}])
    assert list(populate.verdicts(made).values()) == ["accept"] + ["undecided"] * 4


def test_what_was_put_off_comes_after_all_others(made: Project, client: TestClient) -> None:
    ids = populate.add_generation(made, 4)
    ask(client, acts=[act("1", "later", ids[1]), act("2", "later", ids[0])])
    assert dealt(ask(client, want=4)) == [ids[2], ids[3], ids[1], ids[0]]
    ask(client, acts=[act("3", "undo", ids[0], of="2")])
    assert dealt(ask(client, want=4)) == [ids[0], ids[2], ids[3], ids[1]]
    assert dealt(ask(client, want=1, first=[ids[3]]))[0] == ids[3]


def test_a_card_tells_what_lies_beside_the_picture(made: Project, client: TestClient) -> None:
    first, second, third = populate.add_generation(made, 3)
    rows.change(catalog_of(made), "candidate", [third], state="duplicate", duplicate_of=second)
    rows.change(catalog_of(made), "candidate", closeness=0.625)
    _, card = ask(client, want=3)["cards"]
    assert ["blue blazer", "eliminated"] in card["tags"]
    assert ["Closeness", "0.62"] in [score[:2] for score in card["scores"]]
    assert ([one["small"] for one in card["alike"]], card["alike_count"]) == (
        [f"/thumbnail/badge/{third}.webp"],
        1,
    )
    made.toml.write_text("no toml [", "utf-8")  # verdicts need no settings
    assert dealt(ask(client, "other", want=3, first=[first])) == []
    assert ask(client, acts=[act("1", "accept", first)])["refused"] == []


def test_a_look_alike_is_shown_instead_or_as_well(made: Project, client: TestClient) -> None:
    one, again, third, _ = add_drawn(made, catalog_of(made), 1, [scene(1), scene(1), scene(1), scene(2)])
    duplicate_marking.mark_duplicates(Generation(made, catalog_of(made), 1))
    bring(made, catalog_of(made), 1, "curating")
    generation.publish(Generation(made, catalog_of(made), 1))

    def say(do: str, hidden: str, shown: str) -> str:
        request = {"do": do, "hidden": hidden, "shown": shown}
        return str(client.post("/alike/badge", json=request, headers=OURS).json()["problem"])

    def shown() -> set[str]:
        return {candidate.id for candidate in candidates.candidates(catalog_of(made), made.name)}

    assert one in shown() and again not in shown()
    assert say("represent", again, one) == ""
    assert again in shown() and one not in shown()
    assert say("keep-apart", one, again) == ""  # not alike to the one, but to nobody else that is shown
    assert {one, again} <= shown() and third not in shown()
    verdicts.decide(catalog_of(made), made.name, [again], Verdict.ACCEPT, "ann")
    assert "it has a verdict (accept)" in say("represent", third, again)
    assert client.post("/alike/badge", json={}, headers=OURS).status_code == 400
    assert client.post("/alike/badge", json={}, headers={"sec-fetch-site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"sec-fetch-site": "cross-site"}, '{"browser": "b"}', 403),
        ({"sec-fetch-site": "same-site"}, '{"browser": "b"}', 403),
        ({"origin": "http://elsewhere.example"}, '{"browser": "b"}', 403),
        ({}, '{"browser": "b"}', 403),
        ({"origin": "http://testserver"}, '{"browser": "b"}', 200),
        (OURS, "no json", 400),
        (OURS, '{"browser": "b", "acts": [{"id": "1", "do": "burn", "seen": {}}]}', 400),
        (OURS, '{"browser": "b", "holding": ["../../etc"]}', 400),
        (OURS, '{"browser": "' + "b" * 5_000_000 + '"}', 413),
    ],
)
def test_only_our_own_page_is_answered(
    made: Project, client: TestClient, headers: dict, body: str, code: int
) -> None:
    assert client.post("/deck/badge", content=body, headers=headers).status_code == code
    assert client.post("/deck/nobody", content='{"browser": "b"}', headers=OURS).status_code == 404


def test_the_grid_gets_what_a_filter_lets_through(made: Project, client: TestClient) -> None:
    ids = populate.add_generation(made, 6)
    verdicts.decide(catalog_of(made), made.name, [ids[2]], Verdict.ACCEPT, "ann")
    for place, one in enumerate(ids[:5]):
        rows.change(catalog_of(made), "candidate", [one], quality=place / 10)

    def shown(text: str) -> list[str]:
        answer = client.get("/cells/badge", params={"filter": text})
        assert answer.status_code == 200
        return [cell[0] for cell in answer.json()["cells"]]

    assert shown("{}") == ids
    assert shown('{"recipes": ["add"]}') == [ids[2], ids[5]]
    assert shown('{"recipes": ["add"], "verdict": "undecided"}') == [ids[5]]
    assert shown('{"tags": ["Glasses"], "snapshots": [4]}') == [ids[2], ids[5]]
    assert shown('{"sort": "quality"}') == [*ids[4::-1], ids[5]]
    assert shown('{"score": "quality", "least": 0.3}') == ids[3:5]
    assert shown('{"generation": 2}') == []
    assert client.get("/cells/badge", params={"filter": '{"sort": "beauty"}'}).status_code == 400
    assert client.get("/cells/nobody").status_code == 404


def test_the_latest_generation_with_something_undecided_is_reviewed(made: Project) -> None:
    catalog = catalog_of(made)
    assert generation_to_review(generations.statuses(catalog, made.name)) is None
    first = populate.add_generation(made, 2)
    bring(made, catalog, 1, "grown")
    (second,) = populate.add_generation(made, 1)
    assert generation_to_review(generations.statuses(catalog, made.name)) == 2
    verdicts.decide(catalog, made.name, [second], Verdict.ACCEPT, "ann")
    assert generation_to_review(generations.statuses(catalog, made.name)) == 1
    verdicts.decide(catalog, made.name, first, Verdict.ACCEPT, "ann")
    assert generation_to_review(generations.statuses(catalog, made.name)) == 2
