"""The number of tokens in a caption, without loading the base model: the app counts while the user types."""

from bootstrap.models import specs
from bootstrap.models.family import BaseModelSpec


def count(spec: BaseModelSpec, text: str) -> int | None:
    """Return the number of tokens in a text, without start and end token; None: the model is not downloaded yet."""
    vocabulary = specs.vocabulary(spec)
    return vocabulary.count(text) if vocabulary is not None else None
