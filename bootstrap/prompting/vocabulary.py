"""What a base model's text encoders read, without loading them: it decides which words are embeddings."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.models import specs
from bootstrap.models.specs import CONFIGS, BaseModelSpec
from bootstrap.prompting import token_counts

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

    from bootstrap.models.loading import BaseModel


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A tokenizer, and the width of each text encoder."""

    tokenizer: "CLIPTokenizer"
    widths: tuple[int, ...]

    @classmethod
    def of(cls, base: "BaseModel") -> "Vocabulary":
        """Return that of a loaded model."""
        encoders = base.text_encoders
        return cls(base.tokenizer, tuple(one.get_input_embeddings().weight.shape[1] for one in encoders))

    @classmethod
    def read(cls, spec: BaseModelSpec) -> "Vocabulary | None":
        """Read that of a model which is not loaded; None: a hub model that is not on this machine."""
        found = specs.geometry(spec)
        tokenizer = token_counts.tokenizer(spec)
        if found is None or tokenizer is None:
            return None
        parts = ("text_encoder", "text_encoder_2") if found.is_sdxl else ("text_encoder",)
        return cls(tokenizer, tuple(_width(spec, part, found.is_sdxl) for part in parts))


def _width(spec: BaseModelSpec, part: str, is_sdxl: bool) -> int:
    if spec.kind == "hub":
        from huggingface_hub import try_to_load_from_cache

        path = Path(str(try_to_load_from_cache(spec.source, f"{part}/config.json")))
    else:
        folder = CONFIGS / ("sdxl" if is_sdxl else "sd15") if spec.kind == "file" else Path(spec.source)
        path = folder / part / "config.json"
    return int(json.loads(path.read_text("utf-8"))["hidden_size"])
