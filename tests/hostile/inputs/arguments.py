"""Arguments of every verb: names, ids, numbers and paths that are none."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.case import BUSY, CANDIDATE, HERE, ODD_NUMBERS, ODD_TEXTS, PICK, PROJECT, Case, drawn, file

ORIGINAL = f"{HERE}/workspace/projects/{PROJECT}/original.png"
LORA = f"{HERE}/workspace/projects/{PROJECT}/generation-01/training-88d4b549/badge-g01-000001.safetensors"

NAME, ID, PATH, TEXT = "@NAME", "@ID", "@PATH", "@TEXT"
# Each verb as it would be right, with what is exchanged.
VERBS: dict[str, tuple[str, ...]] = {
    "new": ("new", NAME, "--image", ORIGINAL, "--caption", "woman, red apple"),
    "set": ("set", NAME, "training.repeats=3"),
    "status": ("status", NAME),
    "grow": ("grow", NAME),
    "export": ("export", NAME, f"{HERE}/out", "--format", "kohya"),
    "plan": ("plan", NAME),
    "advise": ("advise", NAME),
    "sheet": ("sheet", NAME),
    "candidates": ("candidates", NAME),
    "again": ("again", NAME, CANDIDATE, "--strength", "0.7"),
    "inpaint": ("inpaint", NAME, CANDIDATE, "--mask", ORIGINAL, "--prompt", "hat"),
    "caption": ("caption", NAME, CANDIDATE, "woman, hat"),
    "reindex": ("reindex", NAME),
    "accept": ("accept", NAME, CANDIDATE),
    "undo": ("undo", NAME, CANDIDATE),
    "dedupe": ("dedupe", NAME),
    "keep-apart": ("keep-apart", NAME, CANDIDATE, "original"),
    "represent": ("represent", NAME, CANDIDATE),
    "reject-unlikely": ("reject-unlikely", NAME, "--yes"),
    "tags": ("tags", NAME),
    "retag": ("retag", NAME, "--add", "hat"),
    "run": ("run", NAME),
}
_NAMES = {
    **ODD_TEXTS,
    "..": "..",
    ".": ".",
    "absolute": "/etc",
    "with a slash": "badge/",
    "of another case": "BADGE",
    "with a dot at the end": "badge.",
    "reserved by Windows": "con",
    "with a blank at the end": "badge ",
}

_WITH_ID = {
    "again": ("again", PROJECT, ID, "--strength", "0.7"),
    "caption": ("caption", PROJECT, ID, "woman, hat"),
    "accept": ("accept", PROJECT, CANDIDATE, ID),
    "reject": ("reject", PROJECT, ID),
    "undo": ("undo", PROJECT, ID),
    "keep-apart": ("keep-apart", PROJECT, CANDIDATE, ID),
    "represent": ("represent", PROJECT, ID),
    "retag": ("retag", PROJECT, ID, "--add", "hat"),
}
_IDS = {
    **ODD_TEXTS,
    "%": "%",
    "_": "_" * 16,
    "of another generation": "ffffffffffffffff",
    "a wildcard": "*",
    "upper case": CANDIDATE.upper(),
    "one digit": "9",
    "original": "original",
}

_NUMBERS = (
    ("advise", PROJECT, "--generation"),
    ("sheet", PROJECT, "--generation"),
    ("candidates", PROJECT, "--generation"),
    ("again", PROJECT, CANDIDATE, "--strength"),
    ("again", PROJECT, CANDIDATE, "--snapshot"),
    ("again", PROJECT, CANDIDATE, "--seed"),
    ("again", PROJECT, CANDIDATE, "--count"),
    ("inpaint", PROJECT, CANDIDATE, "--mask", ORIGINAL, "--prompt", "hat", "--denoising-strength"),
    ("inpaint", PROJECT, CANDIDATE, "--mask", ORIGINAL, "--prompt", "hat", "--rounds"),
    ("inpaint", PROJECT, CANDIDATE, "--mask", ORIGINAL, "--prompt", "hat", "--only-masked-padding"),
    ("dedupe", PROJECT, "--explain", "--count"),
    ("reject-unlikely", PROJECT, "--below"),
    ("review", "--port"),
    ("up", "--port"),
    ("lora", "resize", LORA, f"{HERE}/small.safetensors", "--rank"),
    ("serve", "--max-waiting"),
    ("serve", "--min-picks"),
    ("papertown", "make", "--stage", "none", "--minutes"),
)
# A number that these verbs would take starts work that has nothing to do with reading numbers.
_TAKEN = {
    ("--seed", "0"),
    ("--snapshot", "1_0"),
    ("--strength", "-0.0"),
    ("--strength", "0"),
    ("--strength", "-1"),
    ("--strength", "-inf"),
    ("--max-waiting", "0"),
    ("--max-waiting", "-0.0"),
    ("--max-waiting", "1_0"),
    ("--port", "1_0"),
    ("--min-picks", "1_0"),
    ("--seed", "1_0"),
    ("--only-masked-padding", "0"),
}

_PATHS = {
    "empty": "",
    "the folder itself": ".",
    "not there": f"{HERE}/none/x",
    "a folder": f"{HERE}/folder",
    "a FIFO": f"{HERE}/fifo",
    "a device": "/dev/zero",
    "nothing": "/dev/null",
    "a loop of links": f"{HERE}/loop",
    "a link to nowhere": f"{HERE}/dangling",
    "a long name": f"{HERE}/" + "n" * 300,
    "a long path": f"{HERE}/" + "d/" * 3000,
    "of a user that is not": "~nobody-of-that-name/x.png",
    "of two lines": f"{HERE}/a\nb",
    "of no UTF-8": f"{HERE}/\udce9",
    "below a file": f"{HERE}/empty/x",
    "an empty file": f"{HERE}/empty",
    "a process's memory": "/proc/self/mem",
    "a folder named like a file": f"{HERE}/folder.safetensors",
}
_WITH_PATH = {
    "new's picture": ("new", "fresh", "--image", PATH, "--caption", "hat"),
    "new's base": ("new", "fresh", "--image", ORIGINAL, "--caption", "hat", "--base", PATH),
    "tag": ("tag", PATH),
    "tag's tagger": ("tag", ORIGINAL, "--tagger", PATH),
    "show": ("show", PATH),
    "redraw": ("redraw", PATH),
    "redraw's output": (
        "redraw",
        f"{HERE}/workspace/projects/{PROJECT}/generation-01/candidates/{PICK}.png",
        "--output",
        PATH,
    ),
    "redraw's base": (
        "redraw",
        f"{HERE}/workspace/projects/{PROJECT}/generation-01/candidates/{PICK}.png",
        "--base",
        PATH,
    ),
    "inpaint's mask": ("inpaint", PROJECT, CANDIDATE, "--mask", PATH, "--prompt", "hat"),
    "export": ("export", PROJECT, PATH, "--format", "imagefolder"),
    "lora inspect": ("lora", "inspect", PATH),
    "lora convert": ("lora", "convert", PATH, f"{HERE}/out.safetensors", "--to", "diffusers"),
    "lora convert's output": ("lora", "convert", LORA, PATH, "--to", "diffusers"),
    "lora resize's output": ("lora", "resize", LORA, PATH, "--rank", "1"),
    "workspace": ("--workspace", PATH, "status"),
    "doctor's workspace": ("--workspace", PATH, "doctor"),
    "new's workspace": ("--workspace", PATH, "new", "fresh", "--image", ORIGINAL, "--caption", "hat"),
    "dedupe's output": ("dedupe", PROJECT, "--explain", "--count", "2", "--output", PATH),
    "draw-tags' base": ("draw-tags", "hat", "--output", f"{HERE}/tags", "--base", PATH),
}


def odd_paths(here: Path) -> None:
    """Make the files that the odd paths name."""
    os.mkfifo(here / "fifo")
    (here / "folder").mkdir()
    (here / "folder.safetensors").mkdir()
    (here / "loop").symlink_to(here / "loop")
    (here / "dangling").symlink_to(here / "none")
    (here / "empty").touch()


def cases() -> Iterator[Case]:
    """Yield the cases of this door."""
    rng = drawn("arguments")
    for verb, given in VERBS.items():
        for title in rng.sample(sorted(_NAMES), 4):
            yield Case("names", f"{verb}, a name {title}", _with(given, NAME, _NAMES[title]))
    for verb, given in _WITH_ID.items():
        for title in rng.sample(sorted(_IDS), 4):
            yield Case("ids", f"{verb}, an id {title}", _with(given, ID, _IDS[title]))
    for given in _NUMBERS:
        fitting = [number for number in ODD_NUMBERS if (given[-1], number) not in _TAKEN]
        for number in rng.sample(fitting, 2):
            short = number if len(number) < 10 else f"{number[:3]}..."
            yield Case("numbers", f"{given[0]} {given[-1]} {short!r}", (*given, number))
    for title, given in _WITH_PATH.items():
        for path in rng.sample(sorted(_PATHS), 4):
            exits = (0, 1, 2) if "doctor" in given else (0, 2)
            yield Case("paths", f"{title}, {path}", _with(given, PATH, _PATHS[path]), odd_paths, exits=exits)
    yield from _others()


def _with(given: tuple[str, ...], place: str, text: str) -> tuple[str, ...]:
    return tuple(text if one == place else one for one in given)


def _others() -> Iterator[Case]:
    new = ("new", "fresh", "--image", ORIGINAL, "--caption")
    for title in (
        "empty",
        "of blanks",
        "of two lines",
        "with a bell and an escape",
        "of no UTF-8",
        "of 20,000 letters",
        "written from right to left",
        "with a line separator",
    ):
        yield Case("captions", f"new, a caption {title}", (*new, ODD_TEXTS[title]))
        yield Case(
            "captions", f"caption, a caption {title}", ("caption", PROJECT, CANDIDATE, ODD_TEXTS[title])
        )
        yield Case("captions", f"retag, a tag {title}", ("retag", PROJECT, "--add", ODD_TEXTS[title]))
        yield Case(
            "captions",
            f"retag, renamed to one {title}",
            ("retag", PROJECT, "--rename", f"woman={ODD_TEXTS[title]}"),
        )
    yield Case("captions", "new, 5,000 tags", (*new, ", ".join(f"tag {number}" for number in range(5000))))
    yield Case("captions", "new, commas only", (*new, "," * 5000))
    yield Case("captions", "new, 3,000 brackets", (*new, "(" * 3000 + "hat" + ":1.1)" * 3000))
    yield Case(
        "captions", "new, a prompt's syntax", (*new, "woman, [red|blue:0.5], <lora:x:1> BREAK hat AND cat")
    )
    for verb in ("nothing", "\x1b[31m", "x" * 5000, "status\nplan", "\udce9"):
        yield Case("verbs", f"{verb[:10]!r}", (verb,))
    yield Case("verbs", "an option that is not", ("status", "--nothing\n"))
    yield Case("verbs", "an option that is none, long", ("status", "--" + "o" * 5000))
    yield Case("verbs", "5,000 arguments", ("status", *["x"] * 5000))
    yield Case(
        "verbs", "export, a format", ("export", PROJECT, f"{HERE}/out", "--format", "\x1b[1m" + "f" * 900)
    )
    yield Case("verbs", "candidates, a verdict", ("candidates", PROJECT, "--verdict", "yes\nno"))
    yield Case(
        "verbs",
        "lora convert, a dialect",
        ("lora", "convert", LORA, f"{HERE}/o.safetensors", "--to", "\x07" * 900),
    )
    yield Case("verbs", "papertown make, a stage", ("papertown", "make", "--stage", "\x1b]0;x\x07"))
    yield Case("verbs", "retag, no renaming", ("retag", PROJECT, "--rename", "\x1b[1m" + "r" * 900))
    for title, cron in {
        "of six fields": "0 0 1 * * *",
        "of letters": "a b c d e",
        "out of range": "99 99 99 99 99",
        "empty": "",
        "long": "1," * 4000 + "1 * * * *",
        "of two lines": "0 1 * * *\n",
        "that never comes": "0 0 30 2 *",
    }.items():
        yield Case("schedules", f"a cron {title}", ("serve", "--cron", cron, "--deadline", "nothing"))
    yield Case("schedules", "a time zone", ("serve", "--cron", "0 1 * * *", "--timezone", "../../etc/passwd"))
    yield Case(
        "schedules",
        "a time zone, raw",
        ("serve", "--cron", "0 1 * * *", "--timezone", "\x1b[31m" + "z" * 900),
    )
    yield Case("schedules", "a deadline", ("serve", "--cron", "0 1 * * *", "--deadline", "25:99"))
    yield Case(
        "schedules", "a deadline, raw", ("serve", "--cron", "0 1 * * *", "--deadline", "\x1b[31m" * 200)
    )
    for title, axis in {
        "no number": "strength=a",
        "unknown": "\x1b[1mhue=1",
        "empty": "strength=",
        "long": "strength=" + "1," * 9000,
        "infinite": "strength=inf",
        "huge steps": "steps=99999999",
        "no sign": "strength",
        "NaN": "cfg_scale=nan",
        "a range without end": "seed=1-999999999999",
    }.items():
        yield Case("axes", title, ("sheet", PROJECT, "--x", axis))
    for title, text in {
        "of two lines": "a\nb",
        "with an escape": "\x1b[1mann",
        "long": "r" * 5000,
        "of no UTF-8": "\udce9",
    }.items():
        yield Case(
            "environment",
            f"a reviewer {title}",
            ("reject", PROJECT, CANDIDATE),
            environment={"SID_REVIEWER": text},
        )
    for title, url in {
        "no URL": "nothing",
        "of another kind": "mysql://a:b@c/d",
        "long": "sqlite:///" + "u" * 5000,
        "raw": "\x1b[1m://x",
        "a folder": f"sqlite:///{'/tmp'}",
        "a device": "sqlite:////dev/null",
        "a bad port": "postgresql://u:p@h:port/d",
        "with a query": "sqlite:///x?mode=\x1b",
    }.items():
        yield Case(
            "environment",
            f"a catalog's URL, {title}",
            ("status", PROJECT),
            environment={"SID_CATALOG_URL": url},
        )
    for title, password in {
        "empty": "",
        "short": "a",
        "raw": "\x1b\n\x07" * 5,
        "of no UTF-8": "\udce9" * 12,
    }.items():
        yield Case("passwords", title, ("password", "--password", password))
    for title in ("raw", "long", "a URL"):
        host = {"raw": "\x1b[1m\n", "long": "h" * 5000, "a URL": "http://localhost"}[title]
        yield Case(
            "hosts",
            title,
            ("review", "--host", host, "--port", BUSY, "--no-browser"),
            file(
                "workspace/review.toml",
                f'[login]\ncookie_secret = "{"s" * 32}"\nemails = []\npassword_hash = "$argon2id$x"\n',
            ),
        )
