"""A workspace that build a76663c has made, kept in workspace-a76663c.zip, and what `sid` tells of it.

`make` was run once, by record.py; the tests unpack what it left.
"""

import hashlib
import json
import shutil
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

from tests.golden import inputs
from tests.golden.doors import MODULE, Sid, counts, hint, loras, of_pixels, pictures, plan

ARCHIVE = Path(__file__).with_name("workspace-a76663c.zip")
_DROPPED = ("latents", ".generation.lock", ".catalog-migration.lock", "regularization")
_MOST_BYTES = 1_000_000

SETTINGS = """
[training]
repeats = 2
epochs = 2
max_train_steps = 4
train_batch_size = 1
network_dim = 1
network_alpha = 1
unet_lr = 1e-2
text_encoder_lr = 0
resolution = 64

[drawing]
steps = 3
width = 64
height = 64
negative_prompt = "blurry"

[[recipe]]
kind = "vary"
count = 3
strength = [0.6, 1.0]
snapshot = "auto"

[[recipe]]
kind = "eliminate"
count = 3
snapshot = 2

[[recipe]]
kind = "add"
tags = ["(round glasses:1.2)", "{sad|open} mouth"]
count = 2
strength = 0.9
snapshot = [1, 2]

[[recipe]]
kind = "inpaint"
box = [76, 70, 44, 44]
count = 1
snapshot = 2

[[recipe.rounds]]
prompt = "woman, holding green apple"
"""


def make(folder: Path) -> None:
    """Make the workspace: two generations, picks, rejects, a verdict taken back, a sheet, an advice; and pack it."""
    sid = Sid(folder / "made")
    for name in ("badge", "untouched"):
        image, caption = inputs.original("badge")
        sid("new", name, "--image", image, "--caption", caption)
    toml = sid.folder("badge") / "project.toml"
    head = toml.read_text("utf-8").split("[training]")[0]
    toml.write_text(head + SETTINGS.lstrip(), encoding="utf-8")

    sid("run", "badge")  # asks the adviser
    first = _shown(sid, 1)
    sid("accept", "badge", *first[:3])
    sid("undo", "badge", first[2])
    sid("reject", "badge", *first[3:5])
    sid("accept", "badge", first[5])
    sid("undo", "badge")
    sid("caption", "badge", first[1], "woman, bob cut blonde hair, rainy window")
    sid("sheet", "badge", "--x", "strength=0,1", "--y", "snapshot=1,2")
    sid("grow", "badge")

    sid("run", "badge")
    second = _shown(sid, 2)
    sid("accept", "badge", second[0])
    sid("undo", "badge", first[1])  # a pick of the dataset that the next `grow` takes out
    sid("keep-apart", "badge", second[1], "original")
    sid("reject", "badge", second[1], second[2])
    _pack(sid.workspace)


def _shown(sid: Sid, generation: int) -> list[str]:
    return [
        one["id"]
        for one in sid.candidates("badge", "--generation", str(generation))
        if one["state"] == "published"
    ]


def _pack(workspace: Path) -> None:
    connection = sqlite3.connect(workspace / "catalog.sqlite")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("VACUUM")
    connection.close()
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(workspace.rglob("*")):
            inner = path.relative_to(workspace)
            if path.is_file() and not set(inner.parts) & set(_DROPPED):
                packed.write(path, inner.as_posix())
    size = ARCHIVE.stat().st_size
    assert size < _MOST_BYTES, f"{ARCHIVE.name}: {size:,} bytes are too many"


def unpacked(folder: Path) -> Sid:
    """A copy of the workspace in an empty folder, and today's command for it."""
    shutil.unpack_archive(ARCHIVE, folder / "workspace")
    return Sid(folder / "workspace", module=MODULE)


def by_the_older_rule(sid: Sid) -> Sid:
    """The command for it, with new shots as they were made then."""
    return Sid(sid.workspace)


def told(sid: Sid) -> dict[str, Any]:
    """What the verbs tell of the workspace that only look; also with newer keys in their JSON it stays this."""
    exported = {form: _exported(sid, form) for form in ("kohya", "imagefolder")}
    return {
        "status": [_page(sid, one) for one in json.loads(sid("status", "--json"))],
        "candidates": [_candidate(sid, one) for one in sid.candidates("badge")],
        "candidates as drawn": sid("candidates", "badge").splitlines(),
        "candidates, likely picks first": sid("candidates", "badge", "--ranked").splitlines(),
        "accepted": sid("candidates", "badge", "--verdict", "accept").splitlines(),
        "rejected": sid("candidates", "badge", "--verdict", "reject").splitlines(),
        "duplicates": sid("dedupe", "badge").splitlines(),
        "tags": sid("tags", "badge", "--all").splitlines(),
        "plan": plan(sid, "badge"),
        "plan of a project without generations": plan(sid, "untouched"),
        "advice": sid("advise", "badge", "--generation", "1").splitlines()[:-1],
        "doctor": sid("doctor").splitlines()[-1],
        "reindex": sid("reindex", "badge").splitlines(),
        "exported for kohya": exported["kohya"],
        "exported as imagefolder": exported["imagefolder"],
        "sheets": [path.name for path in sorted(sid.folder("badge").glob("generation-*/sheets/*.png"))],
    }


def _page(sid: Sid, page: dict[str, Any]) -> dict[str, Any]:
    of_project = ("name", "caption", "base_model", "problem", "running", "dataset_size", "picks_to_add",
                  "picks_to_remove", "next")  # fmt: skip
    of_generation = ("number", "state", "candidates", "duplicates", "published", "undecided", "accepted",
                     "rejected", "interrupted")  # fmt: skip
    numbers = [{key: one[key] for key in of_generation} for one in page["generations"]]
    told = {key: page[key] for key in of_project}
    return told | {"next": hint(sid, page["next"]), "generations": numbers}


def _candidate(sid: Sid, one: dict[str, Any]) -> dict[str, Any]:
    own = ("id", "generation", "state", "duplicate_of", "verdict", "reviewer", "decided_at", "recipe", "strength",
           "snapshot", "scores")  # fmt: skip
    of_shot = ("prompt", "negative_prompt", "seed", "steps", "sampler", "cfg_scale", "width", "height", "clip_skip",
               "eliminated", "added")  # fmt: skip
    files = {key: Path(one[key]).relative_to(sid.workspace).as_posix() for key in ("path", "thumbnail")}
    return {key: one[key] for key in own} | {key: one["shot"][key] for key in of_shot} | files


def _exported(sid: Sid, form: str) -> dict[str, str]:
    folder = sid.workspace.parent / f"exported-{form}"
    sid("export", "badge", folder, "--format", form)
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            text = path.suffix != ".png"
            found[path.relative_to(folder).as_posix()] = path.read_text("utf-8") if text else _sha256(path)
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def undone(sid: Sid) -> list[str]:
    """What the last act was, which gave two verdicts, and who is undecided when it is taken back."""
    said = sid("undo", "badge").splitlines()
    return said + [one["id"] for one in sid.candidates("badge", "--verdict", "undecided")]


def gone_on(sid: Sid) -> dict[str, Any]:
    """What comes of it when the work goes on: a candidate drawn again, picks that change, and a third generation."""
    found: dict[str, Any] = {}
    drawn = next(one for one in sid.candidates("badge") if one["recipe"] == "add")
    sid("redraw", drawn["path"], "--output", sid.workspace.parent / "again.png")
    found["drawn again"] = of_pixels(sid.workspace.parent / "again.png")
    found["as it was drawn"] = of_pixels(Path(drawn["path"]))
    sid(
        "accept", "badge", *[one["id"] for one in sid.candidates("badge") if one["state"] == "published"][-2:]
    )
    found["grown"] = hint(sid, sid("grow", "badge")).splitlines()
    found["dataset"] = {path.name: _sha256(path) for path in sorted(sid.folder("badge").glob("dataset/*"))}
    found["plan"] = plan(by_the_older_rule(sid), "badge")
    by_the_older_rule(sid)("run", "badge")
    found["pictures"] = pictures(sid, "badge", 3)
    found["LoRA files"] = loras(sid, "badge")
    found["how many"] = counts(sid, "badge")
    return found
