"""Make projects, shots and candidates for tests without a model."""

import random
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from bootstrap.catalog import Catalog, candidate_states, generations
from bootstrap.catalog.candidate_states import NewCandidate
from bootstrap.catalog.states import AFTER_GENERATION_STATE, GenerationState
from bootstrap.project import projects
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project, Workspace
from bootstrap.shots import LoraUse, Shot

CAPTION = "woman, red apple, blue blazer, window"


def scene(number: int, size: int = 128) -> Image.Image:
    """Return a picture with large and small shapes, a different one for each number."""
    rng = random.Random(number)
    picture = Image.new("RGB", (size, size), _color(rng))
    pen = ImageDraw.Draw(picture)
    for _ in range(14):
        x, y = rng.randrange(size), rng.randrange(size)
        w, h = rng.randrange(size // 8, size // 2), rng.randrange(size // 8, size // 2)
        shape = rng.choice((pen.rectangle, pen.ellipse))
        shape((x, y, x + w, y + h), fill=_color(rng))
    return picture


def _color(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def png(width: int, height: int, rows: int) -> bytes:
    """Return a PNG that claims width x height pixels and holds `rows` rows, compressed row by row to save memory."""
    packer = zlib.compressobj()
    data = b"".join(packer.compress(b"\0" * (1 + 3 * width)) for _ in range(rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def make_project(folder: Path, name: str = "apple", caption: str = CAPTION) -> Project:
    """Make a project on Paper Town with scene 0 as its original."""
    image = folder / "original-of-someone.png"
    folder.mkdir(parents=True, exist_ok=True)
    scene(0).save(image)
    return projects.create(Workspace(folder / "workspace"), name, image, caption)


def open_catalog(made: Project) -> Catalog:
    return Catalog(made.workspace.catalog_url)


def shot(seed: int, prompt: str = CAPTION, **changes: object) -> Shot:
    values: dict = {
        "prompt": prompt, "negative_prompt": "", "seed": seed, "steps": 16, "sampler": "DDIM",
        "cfg_scale": 3.0, "width": 128, "height": 128, "base_model": "papertown", "base_model_hash": "0" * 64,
        "loras": (LoraUse("apple-g01-000004", "t" * 64, 4, 0.8),), "recipe": "vary",
    }  # fmt: skip
    return Shot(**{**values, **changes})


def bring(
    made: Project, catalog: Catalog, number: int, state: GenerationState | str, message: str = ""
) -> None:
    """Bring a generation into a state by the shortest sequence of allowed transitions."""
    generation = Generation(made, catalog, number)
    target, paths = GenerationState(state), [[generation.state]]
    while paths[0][-1] is not target:
        path = paths.pop(0)
        paths += [[*path, after] for after in sorted(AFTER_GENERATION_STATE[path[-1]]) if after not in path]
    for step in paths[0]:
        generation.set_state(step)
    generation.set_state(target, message)


def add_drawn(
    made: Project,
    catalog: Catalog,
    number: int,
    pictures: Sequence[Image.Image | bytes | None],
    shots: list[Shot] | None = None,
) -> list[str]:
    """Add candidates as the drawing station does, files first, then rows of state "drawn"; return their ids.

    Bytes are written as the file's content; for None no file is written.
    """
    while generations.begin(catalog, made.name) < number:
        bring(made, catalog, generations.begin(catalog, made.name), GenerationState.GROWN)
    bring(made, catalog, number, GenerationState.DRAWING)
    folder = Generation(made, catalog, number).candidates_folder
    folder.mkdir(parents=True, exist_ok=True)
    shots = shots or [shot(1000 * number + index) for index in range(len(pictures))]
    for picture, drawn in zip(pictures, shots, strict=True):
        path = folder / f"{drawn.id}.png"
        if isinstance(picture, bytes):
            path.write_bytes(picture)
        elif picture is not None:
            picture.save(path)
    inside = folder.relative_to(made.folder)
    new = [NewCandidate(drawn.id, drawn, inside / f"{drawn.id}.png") for drawn in shots]
    candidate_states.add_drawn(catalog, made.name, number, new)
    return [drawn.id for drawn in shots]


def add_published(
    made: Project, catalog: Catalog, number: int, count: int, shots: list[Shot] | None = None
) -> list[str]:
    """Add a generation of `count` different pictures, up for review; return their ids."""
    from bootstrap.curation import duplicate_marking
    from bootstrap.loop import generation

    count = len(shots) if shots else count
    ids = add_drawn(
        made, catalog, number, [scene(1000 * number + index + 1) for index in range(count)], shots
    )
    curated = Generation(made, catalog, number)
    duplicate_marking.mark_duplicates(curated)  # without the scores that need a model
    curated.set_state(GenerationState.CURATING)
    generation.publish(curated)
    return ids
