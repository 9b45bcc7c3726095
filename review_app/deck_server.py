"""The server's part of the deck: carries out a reviewer's acts and hands out the next candidates. No Streamlit.

`review_app.routes` calls it for the requests of the deck and the grid (components/shared/outbox.js); the component
itself is `review_app.components.deck_component`.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bootstrap.catalog import Catalog, acts, candidates, hands
from bootstrap.catalog.acts import Act
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.published import Listed
from bootstrap.catalog.states import Verdict
from bootstrap.curation import clusters, ranking
from bootstrap.errors import UserError
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from review_app import cells
from review_app.cards import cards

IN_HAND = 16  # candidates that a browser holds at most, as in deck.js
_PAST = 20  # earlier acts in one answer, for undo

_Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=36)]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SentAct(_Sent):
    """An act as a browser sends it, see bootstrap.catalog.acts.Act."""

    id: _Name
    do: Literal[Verdict.ACCEPT, Verdict.REJECT, "later", "undo"]
    seen: dict[_Id, Verdict]
    reason: Annotated[str, StringConstraints(max_length=80)] = ""
    of: Annotated[str, StringConstraints(max_length=36)] = ""


class Request(_Sent):
    """A request of a browser: its new acts, and what it wants."""

    browser: _Name
    acts: list[SentAct] = []
    generation: int | None = Field(None, ge=1, le=1_000_000)  # None: it only sends acts
    holding: list[_Id] = Field([], max_length=200)
    first: list[_Id] = Field([], max_length=200)
    only: cells.Filter | None = None  # None: all candidates of the generation
    want: int = Field(0, ge=0, le=100)
    past: str | None = (
        None  # send acts that can be undone, done before the act of this id; "": the latest ones
    )
    leaving: bool = False


def answer(project: Project, catalog: Catalog, request: Request, reviewer: str) -> dict[str, Any]:
    """Carry out the acts, hand out candidates, and return the answer to the browser.

    All acts in `done` are settled, and what they changed is committed, when this returns; those also in `refused` were
    not carried out, and never will be.
    """
    new_acts = [Act(act.id, act.do, dict(act.seen), act.reason, act.of) for act in request.acts]
    refusals = acts.apply(catalog, project.name, new_acts, reviewer) if new_acts else []
    reply: dict[str, Any] = {
        "done": [act.id for act in new_acts],
        "refused": [asdict(refusal) for refusal in refusals],
    }
    if request.leaving:
        hands.release(catalog, project.name, request.browser)
        return reply
    if request.generation is None:
        return reply
    if any(act.do in (Verdict.ACCEPT, Verdict.REJECT) for act in new_acts):
        ranking.rank_soon(Generation(project, catalog, request.generation), staying=IN_HAND)
    part = None
    if request.only is not None:
        rows = cells.passing(project, catalog, request.only)
        part = [row for row in rows if row.generation == request.generation]
    hand = hands.deal(
        catalog,
        project.name,
        request.generation,
        request.browser,
        request.want,
        request.holding,
        request.first,
        None if part is None else {row.row for row in part},
    )
    reply |= {
        "cards": cards(project, catalog, hand.new),
        "kept": hand.kept,
        "elsewhere": hand.elsewhere,
        "browsers": hand.browsers,
        "counts": _counts(project, catalog, request.generation, part),
    }
    if request.past is not None:
        earlier = hands.past(catalog, project.name, request.generation, reviewer, _PAST, request.past)
        their_cards = cards(project, catalog, [step.candidate for step in earlier])
        reply["past"] = [
            {"id": step.act, "do": step.verdict, "given": step.given, "before": step.before, "card": card}
            for step, card in zip(earlier, their_cards, strict=True)
        ]
        reply["past_ends"] = len(earlier) < _PAST
    return reply


def _counts(
    project: Project, catalog: Catalog, generation: int, part: Sequence[Listed] | None
) -> dict[str, int]:
    """Return how many candidates there are and have which verdict, in a part of the generation or in all of it."""
    if part is None:
        counts = candidates.counts(catalog, project.name, generation)
        return {"total": counts.total, "accepted": counts.accepted, "rejected": counts.rejected}
    given = [row.verdict for row in part]
    return {
        "total": len(part), "accepted": given.count(Verdict.ACCEPT), "rejected": given.count(Verdict.REJECT)
    }  # fmt: skip


class AlikeRequest(_Sent):
    """A reviewer's decision on a look-alike that is hidden behind a candidate."""

    shown: _Id
    hidden: _Id
    do: Literal["represent", "keep-apart"]


def settle_alike(project: Project, catalog: Catalog, request: AlikeRequest, reviewer: str) -> dict[str, Any]:
    """Show the look-alike in place of the candidate, or beside it, as `sid represent` and `sid keep-apart` do.

    Returns:
        `problem`: why it was not done; empty if it was.
    """
    try:
        if request.do == "represent":
            clusters.represent(project, catalog, request.hidden)
        elif not clusters.keep_apart(project, catalog, request.hidden, request.shown, reviewer):
            return {"problem": "It also looks like another picture, and stays hidden behind that one."}
    except UserError as error:
        return {"problem": str(error)}
    return {"problem": ""}


def generation_to_review(statuses: Sequence[GenerationStatus]) -> int | None:
    """Return the latest generation with undecided candidates, else the latest with candidates, else None."""
    published = [status for status in statuses if status.published]
    waiting = [status for status in published if status.undecided]
    latest = (waiting or published)[-1:]
    return latest[0].number if latest else None
