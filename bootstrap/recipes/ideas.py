"""Ideas: what a recipe asks for apart from seeds, strengths and snapshots, which is prompts and sizes."""

from dataclasses import dataclass

from bootstrap import captions


@dataclass(frozen=True)
class Idea:
    """A prompt and what it is meant to change."""

    tags: tuple[str, ...]
    eliminated: tuple[str, ...] = ()
    added: tuple[str, ...] = ()  # in prompt syntax
    size: tuple[int, int] | None = None  # width and height in pixels; None: the size of all shots


def each_with(tags: list[str], prompts: list[str]) -> list[Idea]:
    """Return the tags followed by those of each prompt; without prompts the tags alone."""
    return [
        Idea(tuple(captions.with_added(tags, captions.parse_prompt(prompt))), added=(prompt,))
        for prompt in prompts
    ] or [Idea(tuple(tags))]
