"""What decides a module's alpha beside its tensors: PEFT's adapter_config.json, or diffusers' `lora_adapter_metadata`.

Source: PEFT, tuners/*/config.py; diffusers, loaders/lora_base.py.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.lora.alpha_patterns import AlphaPatterns
from bootstrap.lora.modules import Parts
from bootstrap.lora.rotations import NEUMANN_TERMS
from bootstrap.models.family import Family

_Alpha = Annotated[float, Field(allow_inf_nan=False)]
_MOST_TERMS = 100  # of a series that converges after ten or never


class _Settings(BaseModel):
    """The keys of a config of PEFT's that matter here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    r: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    lora_alpha: _Alpha | None = None
    alpha: _Alpha | None = None  # of LoHa and LoKr
    alpha_pattern: dict[Annotated[str, Field(max_length=500)], _Alpha] | None = None
    use_rslora: bool | None = None
    coft: bool | None = None  # of OFT
    use_cayley_neumann: bool | None = None
    num_cayley_neumann_terms: Annotated[int, Field(ge=1, le=_MOST_TERMS)] | None = None


@dataclass(frozen=True)
class AdapterSettings:
    """The settings of each part of a model, such as `unet`."""

    by_part: dict[str, _Settings] = field(default_factory=dict)
    patterns: dict[str, AlphaPatterns] = field(default_factory=dict)

    @classmethod
    def of_file(
        cls, path: Path, file_format: str, family: Family, metadata: dict[str, str]
    ) -> "AdapterSettings":
        """Read the settings that belong to a file.

        Raises:
            UserError: they are damaged, or say what cannot be followed.
        """
        if file_format == "diffusers":
            by_part = _of_metadata(path, metadata)
        elif file_format == "peft" and path.with_name("adapter_config.json").is_file():
            by_part = _of_config(path.with_name("adapter_config.json"), family)
        else:
            by_part = {}
        if any(settings.coft for settings in by_part.values()):
            raise UserError(
                f"LoRA {path}: it was trained with constrained OFT (coft), which is not supported"
            )
        try:
            patterns = {
                part: AlphaPatterns.read(settings.alpha_pattern or {}) for part, settings in by_part.items()
            }
        except ValueError as error:
            raise UserError(f"LoRA {path}: its {error}") from None
        return cls(by_part, patterns)

    def alpha_of(self, inner: str, part: str, parts: Parts) -> float | None:
        """Return a module's alpha, for which alpha / rank scales its delta; None: nothing is said about it.

        Args:
            inner: the module's path within the part.
            parts: its tensors.
        """
        settings = self.by_part.get(part, _Settings())
        alpha = self.patterns[part].alpha_of(inner) if part in self.patterns else None
        if alpha is None:
            alpha = settings.lora_alpha if settings.lora_alpha is not None else settings.alpha
        if alpha is None:
            return None
        if settings.use_rslora and "lora_down.weight" in parts:
            return float(alpha) * math.sqrt(parts["lora_down.weight"].shape[0])
        return float(alpha)

    @property
    def rank(self) -> int | None:
        """The rank that PEFT divides alpha by where the tensors show none."""
        return next((settings.r for settings in self.by_part.values()), None)

    @property
    def neumann_terms(self) -> int:
        """The terms of OFT's approximation; 0: the rotations are exact."""
        for settings in self.by_part.values():
            if settings.use_cayley_neumann is False:
                return 0
            return settings.num_cayley_neumann_terms or NEUMANN_TERMS
        return NEUMANN_TERMS


def _of_metadata(path: Path, metadata: dict[str, str]) -> dict[str, _Settings]:
    """Return {part: settings} from `lora_adapter_metadata`, with keys `unet.r`, `text_encoder.lora_alpha`, ..."""
    where, remedy = f"LoRA {path}: its lora_adapter_metadata, the only source of alpha", "get the file again"
    text = metadata.get("lora_adapter_metadata", "{}")
    flat = reading.shaped(dict[str, Any], reading.parse_json(text, where, remedy), where, remedy)
    by_part: dict[str, dict[str, Any]] = {}
    for key, value in flat.items():
        part, _, name = key.partition(".")
        by_part.setdefault(part, {})[name] = value
    return {
        part: reading.shaped(_Settings, values, f"{where}: {part}", remedy)
        for part, values in by_part.items()
    }


def _of_config(config: Path, family: Family) -> dict[str, _Settings]:
    where, remedy = f"LoRA {config}", "get the file again"
    settings = reading.shaped(_Settings, reading.json_file(config, where, remedy), where, remedy)
    return dict.fromkeys(family.parts, settings)
