"""Fill a workspace with candidates to review without drawing any: recoloured copies of a bundled original."""

import colorsys
import dataclasses
import json
from pathlib import Path

from making import bring
from PIL import Image, ImageOps

import bootstrap
from bootstrap.catalog import Catalog, candidate_states, generations
from bootstrap.catalog.candidate_states import NewCandidate
from bootstrap.catalog.verdicts import history
from bootstrap.project import projects
from bootstrap.project.projects import Project, Workspace
from bootstrap.shots import LoraUse, Shot

ORIGINAL = Path(bootstrap.__file__).parent / "papertown" / "originals" / "badge.png"
CAPTION = "woman, bob cut blonde hair, blue blazer, smile, holding red apple, teal wall, window"


def make_project(folder: Path, name: str = "badge", caption: str = CAPTION) -> Project:
    """Make a project in a workspace."""
    return projects.create(Workspace(folder), name, ORIGINAL, caption)


def add_generation(
    made: Project,
    count: int,
    *,
    thumbnails: bool = True,
    negative_prompt: str = "",
    base_model: str = "papertown",
) -> list[str]:
    """Publish a generation of `count` candidates; return their ids in review order."""
    catalog = Catalog(made.workspace.catalog_url)
    ids = draw(
        made, count, thumbnails=thumbnails, negative_prompt=negative_prompt, base_model=base_model
    )  # fmt: skip
    number = generations.latest(catalog, made.name)
    assert number is not None
    candidate_states.put_up(catalog, made.name, ids)
    bring(made, catalog, number, "published")
    catalog.close()
    return ids


def draw(
    made: Project,
    count: int,
    *,
    thumbnails: bool = False,
    negative_prompt: str = "",
    base_model: str = "papertown",
) -> list[str]:
    """Begin a generation and draw `count` pictures of it; return their ids in the order of drawing."""
    catalog = Catalog(made.workspace.catalog_url)
    number = generations.begin(catalog, made.name)
    with Image.open(made.original) as opened:
        original = opened.convert("RGB")
    shots = [
        dataclasses.replace(_shot(made, number, index, negative_prompt), base_model=base_model)
        for index in range(count)
    ]
    for index, shot in enumerate(shots):
        _write_picture(made, number, shot, original, index / count, thumbnails)
    new = [NewCandidate(shot.id, shot, _picture_path(number, shot)) for shot in shots]
    candidate_states.add_drawn(catalog, made.name, number, new)
    catalog.close()
    return [shot.id for shot in shots]


def _picture_path(number: int, shot: Shot) -> Path:
    return Path(f"generation-{number:02d}") / "candidates" / f"{shot.id}.png"


def _shot(made: Project, number: int, index: int, negative_prompt: str) -> Shot:
    tags = made.settings.project.tags
    eliminated: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    recipe = ("vary", "eliminate", "add")[index % 3]
    if recipe == "eliminate" and len(tags) > 1:
        eliminated = (tags[1 + index % (len(tags) - 1)],)
        tags = [tag for tag in tags if tag not in eliminated]
    if recipe == "add":
        added = ("glasses",)
        tags = [*tags, *added]
    return Shot(
        prompt=", ".join(tags),
        negative_prompt=negative_prompt,
        seed=1000 + index,
        steps=25,
        sampler="DPM++ 2M Karras",
        cfg_scale=5.0,
        width=128,
        height=128,
        base_model="papertown",
        base_model_hash="0" * 64,
        loras=(LoraUse(f"{made.name}-{number:02d}", f"training-{number}", 2 + index % 3, 0.6),),
        recipe=recipe,
        eliminated=eliminated,
        added=added,
    )


def _write_picture(
    made: Project, number: int, shot: Shot, original: Image.Image, hue: float, thumbnails: bool
) -> None:
    grey = ImageOps.grayscale(original)
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.35, 0.95))
    picture = ImageOps.colorize(grey, (20, 20, 40), (255, 255, 255), mid=(red, green, blue))
    path = made.folder / _picture_path(number, shot)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    if thumbnails:
        small = path.parent.parent / "thumbnails" / f"{shot.id}.webp"
        small.parent.mkdir(parents=True, exist_ok=True)
        picture.save(small, "WEBP", quality=85)


def verdicts(made: Project) -> dict[str, str]:
    """Return the present verdict of each candidate, read through a catalog of its own."""
    from bootstrap.catalog import candidates

    catalog = Catalog(made.workspace.catalog_url)
    by_id = {candidate.id: candidate.verdict for candidate in candidates.candidates(catalog, made.name)}
    catalog.close()
    return by_id


def given(made: Project) -> list[tuple[str, str, str]]:
    """Return (candidate, verdict, reason) of all verdicts ever given, in order."""
    catalog = Catalog(made.workspace.catalog_url)
    entries = history(catalog, made.name)
    catalog.close()
    return [(entry.candidate_id, entry.verdict, entry.reason) for entry in entries]


def dump(made: Project) -> str:
    """Return the verdicts as JSON, for messages."""
    return json.dumps(verdicts(made), indent=1)
