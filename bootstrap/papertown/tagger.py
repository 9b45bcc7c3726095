"""Paper Town's own tagger: a small network that reads every attribute of a picture, and thereby its tags."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bootstrap.errors import UserError
from bootstrap.files import whole_file
from bootstrap.papertown.tags import parts_of_tags
from bootstrap.tag_scores import TagScore

SIZE = 128
BUNDLED = Path(__file__).parent / "models" / "tagger.safetensors"
# The answer of every head, beside its own, for a picture that lacks the attribute.
NONE = ""

Heads = dict[str, list[str]]


class TaggerNet(nn.Module):
    """A residual network with one softmax head for each attribute, about 1.3 million weights.

    Takes (n, 3, SIZE, SIZE) float in -1..1 and gives (n, answers): the heads' logits, side by side.
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
        # Things have their places in this world, so the 8 by 8 map is kept rather than averaged away.
        self.squeeze = nn.Sequential(
            nn.Conv2d(widths[-1], 24, 1), nn.Flatten(), nn.LayerNorm(24 * 64), nn.SiLU()
        )
        self.answer = nn.Linear(24 * 64, sum(len(options) for options in heads.values()))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.answer(self.squeeze(self.body(pictures)))

    def by_head(self, logits: Tensor) -> dict[str, Tensor]:
        """The logits of each head: name -> (n, options)."""
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
    """Reads Paper Town's pictures, flat or in ink, rendered or drawn by a model."""

    def __init__(self, net: TaggerNet) -> None:
        self.net = net.eval()

    @classmethod
    def bundled(cls) -> PapertownTagger:
        """The tagger that comes with the package."""
        return cls.load(BUNDLED)

    @classmethod
    def load(cls, path: Path) -> PapertownTagger:
        """The tagger that `save` wrote.

        Raises:
            UserError: there is no such file, or it is no tagger.
        """
        if not path.is_file():
            raise UserError(f"tagger {path}: there is no such file")
        with safe_open(path, "pt") as file:
            net = TaggerNet(json.loads(file.metadata()["heads"]))
            net.load_state_dict({name: file.get_tensor(name).float() for name in file.keys()})  # noqa: SIM118
        return cls(net)

    def save(self, path: Path) -> None:
        """Write the weights as float16 safetensors, with the heads in the metadata."""
        weights = {
            name: value.detach().cpu().half().contiguous() for name, value in self.net.state_dict().items()
        }
        with whole_file(path) as unfinished:
            save_file(weights, unfinished, metadata={"heads": json.dumps(self.net.heads)})

    def read(self, pictures: Sequence[Image.Image]) -> list[list[TagScore]]:
        """The tags of each picture, in the order of captions; pictures of other sizes are scaled."""
        return self.read_tensor(as_tensor(pictures)) if pictures else []

    def read_tensor(self, pictures: Tensor) -> list[list[TagScore]]:
        """The same for uint8 pictures (n, 3, SIZE, SIZE)."""
        return [
            [TagScore(tag, min(reading.sureness[part] for part in parts)) for tag, parts in reading.tags()]
            for reading in self.attributes(pictures)
        ]

    @torch.no_grad()
    def attributes(self, pictures: Tensor, batch: int = 64) -> list[Reading]:
        """What each of the uint8 pictures (n, 3, SIZE, SIZE) shows, by attribute."""
        device = self.net.answer.weight.device
        found = []
        for part in pictures.split(batch):
            logits = self.net(part.to(device).float().div(127.5).sub(1))
            heads = {name: own.softmax(dim=1).cpu() for name, own in self.net.by_head(logits).items()}
            found += [
                _reading(self.net.heads, {name: own[row] for name, own in heads.items()})
                for row in range(len(part))
            ]
        return found


def as_tensor(pictures: Sequence[Image.Image]) -> Tensor:
    """Pictures, scaled to SIZE where they are not: (n, 3, SIZE, SIZE), uint8."""
    scaled = [picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC) for picture in pictures]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in scaled])).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Reading:
    """What a picture shows, by `tags.ATTRIBUTES` (what it lacks is left out), and how sure every head is."""

    attributes: dict[str, str]
    sureness: dict[str, float]

    def tags(self) -> list[tuple[str, tuple[str, ...]]]:
        """Its tags, each with the attributes that it says something of."""
        return parts_of_tags(self.attributes)


def _reading(heads: Heads, probabilities: dict[str, Tensor]) -> Reading:
    """The likeliest answer of every head that makes sense beside the others."""
    seen: dict[str, str] = {}
    sureness: dict[str, float] = {}
    for name, options in heads.items():  # in the order of ATTRIBUTES: a colour after what it is the colour of
        own = probabilities[name].clone()
        if not _may_be_there(name, seen):
            continue
        if NONE in options and _must_be_there(name):
            own[options.index(NONE)] = -1
        likeliest, best = own.max(dim=0)
        sureness[name] = likeliest.item()
        if options[best] != NONE:
            seen[name] = options[best]
    return Reading(seen, sureness)


def _may_be_there(name: str, seen: dict[str, str]) -> bool:
    """Whether a picture that shows `seen` can have the attribute at all."""
    somebody = seen.get("figure") in ("woman", "man")
    if name == "robot_color":
        return seen["figure"] == "robot"
    if name in ("hat", "skin", "clothes", "clothes_color", "eyes", "mouth", "eyewear", "beard", "accent"):
        return somebody
    if name == "hair":
        return somebody and "hat" not in seen
    if name == "hair_color":
        return "hair" in seen and seen["hair"] != "bald"
    if name.endswith("_color"):
        return name.removesuffix("_color") in seen
    return True


def _must_be_there(name: str) -> bool:
    """Whether a picture that can have the attribute has it for certain."""
    return name.endswith("_color") or name in ("figure", "hair", "skin", "clothes", "mouth")
