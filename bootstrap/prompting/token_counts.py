"""How many tokens a caption has, without loading the base model: the app counts while one types."""

from bootstrap.models import specs
from bootstrap.models.family import BaseModelSpec


def count(spec: BaseModelSpec, text: str) -> int | None:
    """Return how many tokens a text has, those that every text has not counted; None: the model is not here yet."""
    vocabulary = specs.vocabulary(spec)
    return vocabulary.count(text) if vocabulary is not None else None
