"""The original and a candidate side by side."""

from collections.abc import Sequence

from bootstrap.catalog.candidates import Candidate
from bootstrap.project import Project
from review_app.components.markup import Markup, element
from review_app.routes import original_url, picture_url

_WORDS = {"undecided": "", "accept": "accepted", "reject": "rejected"}


def pair(project: Project, candidate: Candidate, title: str) -> Markup:
    """Return the two pictures; the candidate bears its verdict when it has one."""
    left = element(
        "figure",
        element("figcaption", "Original"),
        element("img", src=original_url(project), alt="The original", class_="sid-picture"),
        class_="sid-original",
    )
    verdict = _WORDS[candidate.verdict]
    label = element(
        "figcaption",
        title,
        element("b", verdict, class_=f"sid-{candidate.verdict}") if verdict else Markup(""),
    )
    shape = f"aspect-ratio: {candidate.shot.width} / {candidate.shot.height}"
    right = element(
        "figure",
        label,
        # decoding=sync: the next picture is there in the same frame as its tags, for it is loaded already
        element(
            "img", src=picture_url(project, candidate.id), alt=f"Candidate: {candidate.shot.prompt}",
            class_="sid-picture sid-candidate-picture", decoding="sync", style=shape,
        ),
        class_="sid-candidate",
    )  # fmt: skip
    return element("div", left, right, class_="sid-pair", data_candidate=candidate.id)


def preload(project: Project, upcoming: Sequence[Candidate]) -> Markup:
    """Return hidden pictures: the browser fetches what will be shown next."""
    pictures = [
        element("img", src=picture_url(project, one.id), alt="", loading="eager", decoding="async")
        for one in upcoming
    ]
    return element("div", *pictures, class_="sid-preload", aria_hidden="true")
