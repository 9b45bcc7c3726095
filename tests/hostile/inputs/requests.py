"""Requests to the review app's own routes."""

import json
from collections.abc import Iterator
from urllib.parse import quote

from tests.hostile.case import CANDIDATE, ODD_TEXTS, PICK, PROJECT, Case, Web, drawn

_OWN = ((b"sec-fetch-site", b"same-origin"), (b"content-type", b"application/json"))
_ACT = {"id": "a1", "do": "accept", "seen": {CANDIDATE: "reject"}, "reason": "", "of": ""}
_GOOD = {
    "browser": "b",
    "acts": [],
    "generation": 1,
    "holding": [],
    "first": [],
    "want": 2,
    "past": "",
    "leaving": False,
}

BODIES: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "no UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "nothing": b"null",
    "NaN": b'{"browser": NaN}',
    "nested deep": b"[" * 100_000,
    "objects nested deep": b'{"acts":' * 50_000,
    "5 MB": b'{"browser": "' + b"x" * 5_000_000 + b'"}',
    "zeros": bytes(99),
    "a browser of nothing": json.dumps({**_GOOD, "browser": ""}).encode(),
    "a raw browser": json.dumps({**_GOOD, "browser": "\x1b[31m\n"}).encode(),
    "half a letter": b'{"browser": "\\ud800"}',
    "a zero in the browser": json.dumps({**_GOOD, "browser": "a\0b"}).encode(),
    "a generation of 30 digits": b'{"browser": "b", "generation": ' + b"9" * 30 + b"}",
    "a generation of 6,000 digits": b'{"browser": "b", "generation": ' + b"9" * 6000 + b"}",
    "a generation that is not": json.dumps({**_GOOD, "generation": 99}).encode(),
    "a negative want": json.dumps({**_GOOD, "want": -1}).encode(),
    "holding of texts": json.dumps({**_GOOD, "holding": ["x"]}).encode(),
    "holding 100,000": json.dumps({**_GOOD, "holding": [CANDIDATE] * 100_000}).encode(),
    "an unknown field": json.dumps({**_GOOD, "evil": 1}).encode(),
    "a past that is not": json.dumps({**_GOOD, "past": "\x1b" * 900}).encode(),
    "acts of a number": json.dumps({**_GOOD, "acts": 5}).encode(),
    "an act without an id": json.dumps({**_GOOD, "acts": [{"do": "accept"}]}).encode(),
    "an act of another kind": json.dumps({**_GOOD, "acts": [{**_ACT, "do": "delete"}]}).encode(),
    "an act on a path": json.dumps({**_GOOD, "acts": [{**_ACT, "seen": {"../../x": "reject"}}]}).encode(),
    "an act on nobody": json.dumps({**_GOOD, "acts": [{**_ACT, "seen": {"f" * 16: "undecided"}}]}).encode(),
    "an act with a raw reason": json.dumps(
        {**_GOOD, "acts": [{**_ACT, "do": "reject", "seen": {CANDIDATE: "reject"}, "reason": "\x1b[31m\0"}]}
    ).encode(),
    "an act with half a letter": json.dumps(
        {**_GOOD, "acts": [{**_ACT, "do": "reject", "reason": "\ud800"}]}
    ).encode(),
    "an undo of nothing": json.dumps({**_GOOD, "acts": [{**_ACT, "do": "undo", "of": "none"}]}).encode(),
    "3,000 acts": json.dumps(
        {**_GOOD, "acts": [{**_ACT, "id": f"a{number}"} for number in range(3000)]}
    ).encode(),
    "the same act twice": json.dumps({**_GOOD, "acts": [_ACT, _ACT]}).encode(),
    "an act that sees nobody": json.dumps({**_GOOD, "acts": [{**_ACT, "seen": {}}]}).encode(),
    "an id of half a letter": json.dumps({**_GOOD, "acts": [{**_ACT, "id": "\ud800"}]}).encode(),
}
_PATHS = (
    "/picture/%s/{}.png",
    "/thumbnail/%s/{}.webp",
    "/original/%s.png",
    "/sheet/%s/1.png",
    "/sheet/%s/1/x.png",
    "/cells/%s",
)
FILTERS: dict[str, bytes] = {
    "empty": b"filter=",
    "no JSON": b"filter={",
    "a list": b"filter=[]",
    "nested deep": b"filter=" + b"[" * 50_000,
    "no UTF-8": b"filter=%ff%fe",
    "half a letter": b"filter=%22%5Cud800%22",
    "an unknown key": b"filter=%7B%22evil%22%3A1%7D",
    "zeros": b"filter=%00",
    "a huge number": b"filter=%7B%22generation%22%3A" + b"9" * 500 + b"%7D",
    "a long text": b"filter=%7B%22tag%22%3A%22" + b"x" * 50_000 + b"%22%7D",
    "twice": b"filter=%7B%7D&filter=5",
    "other things": b"a=1&b&&&=&%",
    "NaN": b"filter=%7B%22strength%22%3ANaN%7D",
}


def cases() -> Iterator[Case]:
    """Yield the cases of this door."""
    rng = drawn("requests")
    names = {
        **ODD_TEXTS,
        "dots": "..",
        "a zero": "bad\0ge",
        "dots and slashes": "..%2f..",
        "encoded": quote("bad\nge"),
    }
    for title in rng.sample(sorted(names), 14):
        path = rng.choice(_PATHS).format(CANDIDATE) % names[title].replace("%", "%%")
        yield Case("requests", f"a project {title}, {path.split('/')[1]}", web=Web(path))
    for title in ("of no UTF-8", "with a bell and an escape", "like a path", "of 300 letters"):
        yield Case("requests", f"a candidate {title}", web=Web(f"/picture/{PROJECT}/{ODD_TEXTS[title]}.png"))
    for number in ("0", "-1", "9" * 30, "9" * 6000, "\u0663", "1.5", "01"):
        yield Case(
            "requests", f"a sheet numbered {_short(number)}", web=Web(f"/sheet/{PROJECT}/{number}.png")
        )
        yield Case(
            "requests",
            f"a drawn sheet numbered {_short(number)}",
            web=Web(f"/sheet/{PROJECT}/{number}/x.png"),
        )
    yield Case("requests", "a drawn sheet with a raw name", web=Web(f"/sheet/{PROJECT}/1/\x1b[31m\n.png"))
    for title, body in BODIES.items():
        path = (
            rng.choice(("deck", "deck", "alike"))
            if title in ("empty", "no JSON", "a list", "nothing", "5 MB")
            else "deck"
        )
        yield Case(
            "requests",
            f"a body {title}, {path}",
            web=Web(f"/{path}/{PROJECT}", "POST", headers=_OWN, body=body),
        )
    for title, answer in {
        "on nobody": {"shown": "f" * 16, "hidden": "e" * 16, "do": "represent"},
        "on itself": {"shown": PICK, "hidden": PICK, "do": "keep-apart"},
        "of another kind": {"shown": PICK, "hidden": CANDIDATE, "do": "x"},
        "apart": {"shown": PICK, "hidden": CANDIDATE, "do": "keep-apart"},
    }.items():
        yield Case(
            "requests",
            f"alike {title}",
            web=Web(f"/alike/{PROJECT}", "POST", headers=_OWN, body=json.dumps(answer).encode()),
        )
    for title, query in FILTERS.items():
        yield Case("requests", f"a filter {title}", web=Web(f"/cells/{PROJECT}", query=query))
    good = json.dumps(_GOOD).encode()
    for title, headers in {
        "another site": ((b"sec-fetch-site", b"cross-site"),),
        "an odd origin": ((b"origin", b"http://[::bad"),),
        "an origin of no UTF-8": ((b"origin", b"\xff\xfe"),),
        "no origin": (),
        "an origin of null": ((b"origin", b"null"),),
        "3,000 headers": tuple((b"x-%d" % number, b"v") for number in range(3000)),
        "a reviewer": (*_OWN, (b"x-sid-reviewer", b"\xff\x1b[31m" * 900)),
        "a cookie of rubbish": (*_OWN, (b"cookie", b"\xff=;;;=\x01" * 900)),
        "an unknown length": (*_OWN, (b"content-length", b"many")),
        "a range": ((b"range", b"bytes=9-1,-,x"),),
    }.items():
        yield Case(
            "requests",
            f"headers with {title}",
            web=Web(f"/deck/{PROJECT}", "POST", headers=headers, body=good),
        )
    for method in ("PUT", "\x1b", "POST", "M" * 5000):
        yield Case("requests", f"the method {method[:5]!r}", web=Web(f"/original/{PROJECT}.png", method))


def _short(text: str) -> str:
    return text if len(text) < 10 else f"{text[:3]}... of {len(text)}"
