"""The deck's end on the server: takes in what a reviewer did, and hands the next candidates out. No Streamlit."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bootstrap.catalog import Catalog, acts, candidates, hands
from bootstrap.catalog.acts import Act
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import Verdict
from bootstrap.curation import clusters, ranking
from bootstrap.errors import UserError
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from review_app.cards import cards

IN_HAND = 24  # candidates that a browser has before it
_PAST = 20  # acts that it can undo without asking for more

_Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=36)]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SentAct(_Sent):
    """An act as a browser tells it, see bootstrap.catalog.acts.Act."""

    id: _Name
    do: Literal[Verdict.ACCEPT, Verdict.REJECT, "later", "undo"]
    seen: dict[_Id, Verdict]
    reason: Annotated[str, StringConstraints(max_length=80)] = ""
    of: Annotated[str, StringConstraints(max_length=36)] = ""


class Request(_Sent):
    """What a browser asks for."""

    browser: _Name
    acts: list[SentAct] = []
    generation: int | None = Field(None, ge=1)  # None: it only tells its acts
    holding: list[_Id] = Field([], max_length=200)
    first: list[_Id] = Field([], max_length=200)
    want: int = Field(0, ge=0, le=100)
    past: str | None = None  # acts that can be undone, before this one; "": the last ones
    leaving: bool = False


def answer(project: Project, catalog: Catalog, asked: Request, reviewer: str) -> dict[str, Any]:
    """Carry out the acts, hand candidates out, and return what the browser has to know.

    All that is in `done` is committed when this returns; the acts in `refused` were not carried out, and never will
    be.
    """
    given = [Act(one.id, one.do, dict(one.seen), one.reason, one.of) for one in asked.acts]
    refused = acts.apply(catalog, project.name, given, reviewer) if given else []
    told: dict[str, Any] = {
        "done": [one.id for one in given],
        "refused": [asdict(one) for one in refused],
    }
    if asked.leaving:
        hands.release(catalog, project.name, asked.browser)
        return told
    if asked.generation is None:
        return told
    if any(one.do in (Verdict.ACCEPT, Verdict.REJECT) for one in given):
        ranking.rank_soon(Generation(project, catalog, asked.generation), staying=IN_HAND)
    hand = hands.deal(
        catalog, project.name, asked.generation, asked.browser, asked.want, asked.holding, asked.first
    )
    counts = candidates.counts(catalog, project.name, asked.generation)
    told |= {
        "cards": cards(project, catalog, hand.new),
        "kept": hand.kept,
        "elsewhere": hand.elsewhere,
        "counts": {"total": counts.total, "accepted": counts.accepted, "rejected": counts.rejected},
    }
    if asked.past is not None:
        earlier = hands.past(catalog, project.name, asked.generation, reviewer, _PAST, asked.past)
        shown = cards(project, catalog, [one.candidate for one in earlier])
        told["past"] = [
            {"id": one.act, "do": one.verdict, "given": one.given, "before": one.before, "card": card}
            for one, card in zip(earlier, shown, strict=True)
        ]
        told["past_ends"] = len(earlier) < _PAST
    return told


class AlikeRequest(_Sent):
    """What a reviewer says of a look-alike that is hidden behind a candidate."""

    shown: _Id
    hidden: _Id
    do: Literal["represent", "keep-apart"]


def settle_alike(project: Project, catalog: Catalog, asked: AlikeRequest, reviewer: str) -> dict[str, Any]:
    """Show the look-alike in place of the candidate, or beside it; `problem` says why not, empty when it is done.

    As `sid represent` and `sid keep-apart`.
    """
    try:
        if asked.do == "represent":
            clusters.represent(project, catalog, asked.hidden)
        elif not clusters.keep_apart(project, catalog, asked.hidden, asked.shown, reviewer):
            return {"problem": "It looks like yet another picture, and stays hidden behind that one."}
    except UserError as error:
        return {"problem": str(error)}
    return {"problem": ""}


def generation_to_review(statuses: Sequence[GenerationStatus]) -> int | None:
    """Return the latest generation with something undecided, else the latest with candidates, else None."""
    shown = [one for one in statuses if one.published]
    waiting = [one for one in shown if one.undecided]
    latest = (waiting or shown)[-1:]
    return latest[0].number if latest else None
