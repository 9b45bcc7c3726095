"""What a recipe asks for, without seeds, strengths and snapshots: prompts, and sizes where they differ."""

from dataclasses import dataclass

from bootstrap import captions


@dataclass(frozen=True)
class Idea:
    """A prompt and what it is meant to change."""

    tags: tuple[str, ...]
    eliminated: tuple[str, ...] = ()
    added: tuple[str, ...] = ()  # written as in a prompt, brackets and all
    size: tuple[int, int] | None = None  # width and height in pixels, where they are not those of all shots


def each_with(tags: list[str], prompts: list[str]) -> list[Idea]:
    """Return the tags followed by those of each prompt; without prompts the tags alone."""
    return [
        Idea(tuple(captions.with_added(tags, captions.parse(prompt))), added=(prompt,)) for prompt in prompts
    ] or [Idea(tuple(tags))]
