"""Paper Town's own tagger: a small network that reads every attribute of a picture; its tags follow from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bootstrap import reading, tensor_files
from bootstrap.errors import UserError
from bootstrap.papertown import tags, tags_two
from bootstrap.tag_scores import TagScore

SIZE = 128
BUNDLED = Path(__file__).parent / "models" / "tagger.safetensors"
# The option of a head for a picture that lacks the attribute.
NONE = ""
# The rules of each world: which attributes go together, and the tags that they become.
WORLDS = {"one": tags, "two": tags_two}

Heads = dict[str, list[str]]


class TaggerNet(nn.Module):
    """A residual network with one softmax head for each attribute, about 1.3 million weights.

    It takes pictures (n, 3, SIZE, SIZE), float in -1..1, and returns the logits of all heads, concatenated:
    (n, options of all heads).
    """

    def __init__(self, heads: Heads) -> None:
        super().__init__()
        self.heads = heads
        widths = (24, 48, 96, 128)
        layers: list[nn.Module] = []
        for before, width in zip((3, *widths), widths, strict=False):
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1), _Residual(width)]
            if width > widths[0]:
                layers.append(_Residual(width))
        self.body = nn.Sequential(*layers)
        # Things have fixed places in this world, so the 8 by 8 map is flattened rather than averaged.
        self.squeeze = nn.Sequential(
            nn.Conv2d(widths[-1], 24, 1), nn.Flatten(), nn.LayerNorm(24 * 64), nn.SiLU()
        )
        self.answer = nn.Linear(24 * 64, sum(len(options) for options in heads.values()))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.answer(self.squeeze(self.body(pictures)))

    def by_head(self, logits: Tensor) -> dict[str, Tensor]:
        """Split the logits by head: name -> (n, options)."""
        parts = logits.split([len(options) for options in self.heads.values()], dim=1)
        return dict(zip(self.heads, parts, strict=True))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(x)


class PapertownTagger:
    """Reads the tags of Paper Town's pictures, flat or in ink, rendered or drawn by a model.

    `world` is one of WORLDS.
    """

    def __init__(self, net: TaggerNet, world: str = "one") -> None:
        self.net, self.world, self.rules = net.eval(), world, WORLDS[world]

    @classmethod
    def bundled(cls) -> PapertownTagger:
        """Load the tagger that ships with the package."""
        return cls.load(BUNDLED)

    @classmethod
    def load(cls, path: Path) -> PapertownTagger:
        """Load a tagger that `save` wrote.

        Raises:
            UserError: there is no such file, or it is damaged or no such tagger.
        """
        if not path.is_file():
            raise UserError(f"tagger {path}: there is no such file")
        where, remedy = f"tagger {path}", "install sid again"
        with reading.safetensors(path, where, remedy) as file:
            metadata = file.metadata() or {}
            heads = reading.parse_json(metadata.get("heads", ""), where, remedy)
            net = TaggerNet(reading.shaped(Heads, heads, where, remedy))
            try:
                net.load_state_dict({name: file.get_tensor(name).float() for name in file.keys()})  # noqa: SIM118
            except RuntimeError as error:
                raise UserError(
                    f"{where}: its weights are not those of the tagger ({error}); {remedy}"
                ) from None
        return cls(net, metadata.get("world", "one"))

    def save(self, path: Path) -> None:
        """Write the weights as float16 safetensors, with heads and world in the metadata."""
        weights = {
            name: value.detach().cpu().half().contiguous() for name, value in self.net.state_dict().items()
        }
        tensor_files.write(path, weights, {"heads": json.dumps(self.net.heads), "world": self.world})

    def read(self, pictures: Sequence[Image.Image]) -> list[list[TagScore]]:
        """Return the tags of each picture, in caption order; pictures of other sizes are scaled to SIZE."""
        return self.read_tensor(as_tensor(pictures)) if pictures else []

    def read_tensor(self, pictures: Tensor) -> list[list[TagScore]]:
        """Return the tags of each of the uint8 pictures (n, 3, SIZE, SIZE), in caption order."""
        return [
            [TagScore(tag, min(reading.confidence[name] for name in names)) for tag, names in reading.tags()]
            for reading in self.attributes(pictures)
        ]

    @torch.no_grad()
    def attributes(self, pictures: Tensor, batch: int = 64) -> list[Reading]:
        """Return the attributes of each of the uint8 pictures (n, 3, SIZE, SIZE)."""
        device = self.net.answer.weight.device
        readings = []
        for part in pictures.split(batch):
            logits = self.net(part.to(device).float().div(127.5).sub(1))
            probabilities = {
                name: head_logits.softmax(dim=1).cpu()
                for name, head_logits in self.net.by_head(logits).items()
            }
            readings += [
                _reading(
                    self.net.heads, {name: rows[row] for name, rows in probabilities.items()}, self.rules
                )
                for row in range(len(part))
            ]
        return readings


def as_tensor(pictures: Sequence[Image.Image]) -> Tensor:
    """Stack pictures, scaled to SIZE by SIZE pixels if needed: (n, 3, SIZE, SIZE), uint8."""
    scaled = [picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC) for picture in pictures]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in scaled])).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Reading:
    """The attributes of a picture, keyed by `tags.ATTRIBUTES`, without those that it lacks.

    `confidence` is the probability, 0 to 1, of each head's answer.
    """

    attributes: dict[str, str]
    confidence: dict[str, float]
    rules: ModuleType

    def tags(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the picture's tags, each with the names of the attributes that it describes."""
        parts: list[tuple[str, tuple[str, ...]]] = self.rules.parts_of_tags(self.attributes)
        return parts


def _reading(heads: Heads, probabilities: dict[str, Tensor], rules: ModuleType) -> Reading:
    """Return each head's most probable answer that is consistent with the answers before it.

    `probabilities` holds those of each head's options, (options,).
    """
    seen: dict[str, str] = {}
    confidence: dict[str, float] = {}
    for name, options in heads.items():  # in the order of ATTRIBUTES: a colour follows the thing that has it
        allowed = [rules.is_allowed(name, option, seen) for option in options]
        if not any(is_allowed for option, is_allowed in zip(options, allowed, strict=True) if option != NONE):
            continue
        highest, best = probabilities[name].masked_fill(~torch.tensor(allowed), -1).max(dim=0)
        confidence[name] = highest.item()
        if options[best] != NONE:
            seen[name] = options[best]
    return Reading(seen, confidence, rules)
