"""How many tokens a caption has, without loading the base model: the app counts while one types."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.models.specs import CONFIGS, BaseModelSpec

if TYPE_CHECKING:
    from transformers import CLIPTokenizer


def count(spec: BaseModelSpec, text: str) -> int | None:
    """Return how many tokens a text has, start and end tokens not counted; None: the base model is not here yet."""
    found = tokenizer(spec)
    if found is None:
        return None
    return len(found(text, add_special_tokens=False, truncation=False, verbose=False).input_ids)


def tokenizer(spec: BaseModelSpec) -> "CLIPTokenizer | None":
    """Return a base model's (first) tokenizer; None: the base model is not here yet."""
    folder = _tokenizer_folder(spec)
    return _tokenizer(folder) if folder else None


def _tokenizer_folder(spec: BaseModelSpec) -> Path | None:
    if spec.kind == "file":  # of Stable Diffusion 1.x and XL, which have the same words
        return CONFIGS / "sd15" / "tokenizer"
    if spec.kind == "hub":
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(spec.source, "tokenizer/vocab.json")
        return Path(found).parent if isinstance(found, str) else None
    return Path(spec.source) / "tokenizer"


@lru_cache(maxsize=4)
def _tokenizer(folder: Path) -> "CLIPTokenizer":
    from transformers import CLIPTokenizer  # a second that other pages need not wait

    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
