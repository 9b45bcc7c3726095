"""Draw each tag alone, to find the tags that a base model does not seem to know.

A base model draws something for any text. For an unknown word it draws about the same as for an empty prompt, from the
same noise. So each tag is drawn alone, with a few seeds, and compared with the drawings for an empty prompt: a tag
whose drawings are at least as similar to them as those of the median made-up word is flagged. The flag is a hint, to
be checked against the drawings: a small thing, such as an earring, changes little, too.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bootstrap import captions
from bootstrap.drawing import engine
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_text, whole_file
from bootstrap.models import loading
from bootstrap.models.family import BaseModel, BaseModelSpec
from bootstrap.pictures import drawn_tags, features
from bootstrap.pictures.drawn_tags import TagDrawing
from bootstrap.progress import Progress, Report, silent
from bootstrap.project.settings import DrawingSection
from bootstrap.shots import Shot

MOST = 60  # tags per call
_MADE_UP = ("qwfp zxkv", "vbnm jkhl", "zzyx plort")  # words that no caption has
_SEEDS = (1, 2, 3)
_MOST_STEPS = 16
_SHOWN_SIDE = 256  # longer side of the stored drawings, in pixels


def draw_tags(
    spec: BaseModelSpec, tags: Sequence[str], folder: Path, report: Report = silent
) -> list[TagDrawing]:
    """Draw each tag alone and store its first drawing in a folder; a stored tag is not drawn again.

    Args:
        folder: the folder of this base model; created if missing.

    Raises:
        UserError: there is no tag or more than MOST, or the base model cannot be loaded.
    """
    wanted = list(dict.fromkeys(tags))
    if not 1 <= len(wanted) <= MOST:
        raise UserError(f"caption: {len(wanted)} tags; 1 to {MOST} can be drawn at once")
    base = loading.hold(spec)
    stored = drawn_tags.read(folder, base.hash)
    missing = [tag for tag in wanted if tag not in stored]
    if missing:
        stored |= {drawing.tag: drawing for drawing in _drawn(base, missing, folder, report)}
        drawn_tags.write(folder, base.hash, stored.values())
    return [stored[tag] for tag in wanted]


def _drawn(base: BaseModel, tags: Sequence[str], folder: Path, report: Report) -> list[TagDrawing]:
    pictures = _pictures(base, ["", *_MADE_UP, *tags], report)
    empty_prompt = features.embed(base, pictures[""])
    sameness = {
        text: float(np.mean(np.sum(features.embed(base, drawn) * empty_prompt, axis=1)))
        for text, drawn in pictures.items()
    }
    limit = float(np.median([sameness[word] for word in _MADE_UP]))
    drawings = []
    for tag in tags:
        file = f"{sha256_of_text(tag)[:16]}.webp"
        small = pictures[tag][0].copy()
        small.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE), Image.Resampling.LANCZOS)
        with whole_file(folder / file) as temporary:
            small.save(temporary, "WEBP", quality=85)
        drawings.append(TagDrawing(tag, sameness[tag], sameness[tag] < limit, file))
    return drawings


def _pictures(base: BaseModel, texts: Sequence[str], report: Report) -> dict[str, list[Image.Image]]:
    """Draw each text with each seed."""
    drawing = DrawingSection.model_validate(base.spec.defaults.get("drawing", {}))
    side = base.spec.defaults.get("training", {}).get("resolution") or base.resolution
    shots = {
        (text, seed): Shot(
            captions.as_prompt([text]) if text else "", "", seed, min(drawing.steps, _MOST_STEPS), drawing.sampler,
            drawing.cfg_scale, side, side, base.spec.name, base.hash, (), schedule=drawing.schedule,
        )
        for text in texts
        for seed in _SEEDS
    }  # fmt: skip
    pictures: dict[str, Image.Image] = {}
    for batch in engine.draw_batches(base, list(shots.values()), {}, drawing.batch_size):
        pictures.update({drawing.shot.id: drawing.picture for drawing in batch})
        report(Progress("tags", len(pictures), len(shots), "pictures"))
    return {text: [pictures[shots[text, seed].id] for seed in _SEEDS] for text in texts}
