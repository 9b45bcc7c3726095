"""What a base model makes of each tag alone, and which tags it does not seem to know.

A base model draws something for any text. For a word that it has never met that is about what it draws for no text at
all, from the same noise. So each tag is drawn alone, with a few seeds, and compared with the drawings for an empty
prompt: where they are at least as alike as those for made-up words mostly are, the tag is flagged. It is a hint, and
the drawings are there to be looked at: a small thing, such as an earring, changes little, too.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bootstrap import captions
from bootstrap.drawing import engine
from bootstrap.errors import UserError
from bootstrap.files import remove_partial_files, sha256_of_text, whole_file
from bootstrap.models import loading
from bootstrap.models.family import BaseModel, BaseModelSpec
from bootstrap.pictures import drawn_tags, features
from bootstrap.pictures.drawn_tags import TagDrawing
from bootstrap.progress import Progress, Report, silent
from bootstrap.project.settings import DrawingSection
from bootstrap.shots import Shot

MOST = 60  # tags at once
_MADE_UP = ("qwfp zxkv", "vbnm jkhl", "zzyx plort")  # in no caption
_SEEDS = (1, 2, 3)
_MOST_STEPS = 16
_SHOWN_SIDE = 256  # pixels of the longer side of what is kept


def draw_tags(
    spec: BaseModelSpec, tags: Sequence[str], folder: Path, report: Report = silent
) -> list[TagDrawing]:
    """Draw each tag alone and keep the first drawing in a folder; what is there already is not drawn again.

    Args:
        folder: of this base model; made when it is missing.

    Raises:
        UserError: there is no tag, or there are too many, or the base model cannot be loaded.
    """
    wanted = list(dict.fromkeys(tags))
    if not 1 <= len(wanted) <= MOST:
        raise UserError(f"caption: {len(wanted)} tags; 1 to {MOST} can be drawn at once")
    base = loading.hold(spec)
    kept = drawn_tags.read(folder, base.hash)
    missing = [tag for tag in wanted if tag not in kept]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        remove_partial_files(folder)
        kept |= {one.tag: one for one in _drawn(base, missing, folder, report)}
        drawn_tags.write(folder, base.hash, kept.values())
    return [kept[tag] for tag in wanted]


def _drawn(base: BaseModel, tags: Sequence[str], folder: Path, report: Report) -> list[TagDrawing]:
    pictures = _pictures(base, ["", *_MADE_UP, *tags], report)
    nothing = features.embed(base, pictures[""])
    same = {
        text: float(np.mean(np.sum(features.embed(base, drawn) * nothing, axis=1)))
        for text, drawn in pictures.items()
    }
    limit = float(np.median([same[word] for word in _MADE_UP]))
    found = []
    for tag in tags:
        file = f"{sha256_of_text(tag)[:16]}.webp"
        small = pictures[tag][0].copy()
        small.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE), Image.Resampling.LANCZOS)
        with whole_file(folder / file) as temporary:
            small.save(temporary, "WEBP", quality=85)
        found.append(TagDrawing(tag, same[tag], same[tag] < limit, file))
    return found


def _pictures(base: BaseModel, texts: Sequence[str], report: Report) -> dict[str, list[Image.Image]]:
    """Each text drawn with each seed."""
    drawing = DrawingSection.model_validate(base.spec.defaults.get("drawing", {}))
    side = base.spec.defaults.get("training", {}).get("resolution") or base.resolution
    shots = {
        (text, seed): Shot(
            captions.as_prompt([text]) if text else "", "", seed, min(drawing.steps, _MOST_STEPS), drawing.sampler,
            drawing.cfg_scale, side, side, base.spec.name, base.hash, (),
        )
        for text in texts
        for seed in _SEEDS
    }  # fmt: skip
    found: dict[str, Image.Image] = {}
    for batch in engine.draw(base, list(shots.values()), {}, drawing.batch_size):
        found.update({one.shot.id: one.picture for one in batch})
        report(Progress("tags", len(found), len(shots), "pictures"))
    return {text: [found[shots[text, seed].id] for seed in _SEEDS] for text in texts}
