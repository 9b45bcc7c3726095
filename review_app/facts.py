"""What a reviewer wants to know about a candidate: its tags and how it was drawn."""

from collections.abc import Sequence

from bootstrap import captions
from bootstrap.shots import Imported, Shot

KEPT, ADDED, ELIMINATED = "kept", "added", "eliminated"


def marked_tags(shot: Shot, caption: Sequence[str]) -> list[tuple[str, str]]:
    """Return the prompt's tags, each with KEPT or ADDED, and the ELIMINATED ones where they stood in the caption.

    Args:
        caption: the original's tags, which say where an eliminated tag stood.
    """
    marked = [(tag, ADDED if _among(tag, shot.added) else KEPT) for tag in shot.tags]
    for tag in sorted(shot.eliminated, key=lambda eliminated: _place(eliminated, caption)):
        before = caption[: _place(tag, caption)]
        places = [index for index, (known, _) in enumerate(marked) if _among(known, before)]
        marked.insert(places[-1] + 1 if places else 0, (tag, ELIMINATED))
    return marked


def _among(tag: str, tags: Sequence[str]) -> bool:
    return any(captions.same_tag(tag, candidate) for candidate in tags)


def _place(tag: str, caption: Sequence[str]) -> int:
    return next((index for index, known in enumerate(caption) if captions.same_tag(tag, known)), len(caption))


def short_label(shot: Shot) -> str:
    """Return what the shot changes in a few words: `no smile`, `with hat`, or else the recipe."""
    changed = [f"no {tag}" for tag in shot.eliminated] + [f"with {tag}" for tag in shot.added]
    return ", ".join(changed) or shot.recipe


def shot_facts(shot: Shot) -> list[tuple[str, str]]:
    """Return how a picture was drawn, as pairs of name and value, with AUTOMATIC1111's names."""
    if shot.imported is not None:
        return _imported_facts(shot, shot.imported)
    facts = [
        ("Recipe", shot.recipe),
        ("Strength", f"{shot.strength:g}"),
        ("Snapshot", str(shot.snapshot)),
        ("Seed", str(shot.seed)),
        ("Sampler", shot.sampler),
        ("Schedule type", shot.schedule),
        ("Steps", str(shot.steps)),
        ("CFG scale", f"{shot.cfg_scale:g}"),
        ("Size", f"{shot.width}×{shot.height}"),
        ("Negative prompt", shot.negative_prompt),
        ("Base model", shot.base_model),
        ("Mended from", shot.mended_from),
    ]
    return [(name, value) for name, value in facts if value]


def _imported_facts(shot: Shot, imported: Imported) -> list[tuple[str, str]]:
    facts = [
        ("Imported from", imported.file),
        ("Made with", imported.tool),
        ("Model", imported.model),
        ("Note", imported.note),
        ("Size", f"{shot.width}×{shot.height}"),
    ]
    return [(name, value) for name, value in facts if value]
