"""The stage `tagger`: train Paper Town's tagger on rendered scenes, half of them with accents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor

from bootstrap.papertown import data, world
from bootstrap.papertown.figures import BEARDS, CLOTHES, EYES, EYEWEAR, HAIR, HATS, MOUTHS
from bootstrap.papertown.ink import as_ink
from bootstrap.papertown.palette import COLORS, HAIR_COLORS, SKINS
from bootstrap.papertown.scenery import OUTDOORS
from bootstrap.papertown.tagger import NONE, Heads, PapertownTagger, TaggerNet
from bootstrap.papertown.things import ACCENTS, DESK_ITEMS, PROPS, WALL_ITEMS
from bootstrap.papertown.training import Hyperparameters, Training

INK_SHARE = 0.3  # of the training pictures
HELD_OUT = 500  # scenes of each kind that measure the accuracy
IGNORED = -100  # a label that the loss skips


def heads() -> Heads:
    """Return the tagger's heads in the order of `tags.ATTRIBUTES`: each attribute with its possible values."""
    colors = [NONE, *COLORS]
    return {
        "figure": ["woman", "man", "robot", "nobody"],
        "hat": [NONE, *HATS],
        "hat_color": colors,
        "hair": [NONE, *dict.fromkeys([*HAIR["woman"], *HAIR["man"]])],
        "hair_color": [NONE, *HAIR_COLORS],
        "skin": [NONE, *SKINS],
        "clothes": [NONE, *CLOTHES],
        "clothes_color": colors,
        "eyes": [NONE, *EYES],
        "mouth": [NONE, *MOUTHS],
        "eyewear": [NONE, *EYEWEAR],
        "beard": [NONE, *BEARDS],
        "robot_color": colors,
        "prop": [NONE, *PROPS],
        "prop_color": colors,
        "wall": colors,
        "wall_item": [NONE, *WALL_ITEMS],
        "outdoors": [NONE, *OUTDOORS],
        "desk": [NONE, "wooden"],
        "desk_item": [NONE, *DESK_ITEMS],
        "accent": [NONE, *ACCENTS],
    }


@dataclass(frozen=True)
class TaggedWorld:
    """A world that a tagger learns to read."""

    name: str  # of tagger.WORLDS
    heads: Callable[[], Heads]
    scene: Callable[[str, int], Any]  # scene of a split, by number
    attributes: Callable[[Any], dict[str, str]]  # of a scene
    held_out: Callable[[int, bool], Tensor]  # pictures, without and with accents
    has_ink: bool


FIRST = TaggedWorld(
    "one", heads, data.scene, world.attributes, lambda count, accents: data.held_out(count, accents), True
)


def tagger_hyperparameters(device: torch.device, samples: int | None) -> Hyperparameters:
    """Return the tagger's hyperparameters; a GPU trains on more samples.

    `samples` replaces the default number of samples.
    """
    default = 2_000_000 if device.type == "cuda" else 300_000
    return Hyperparameters(samples or default, batch=64, muon_lr=0.02, adam_lr=2e-3)


def train_tagger(
    directory: Path,
    device: torch.device,
    minutes: float | None,
    samples: int | None = None,
    town: TaggedWorld = FIRST,
) -> None:
    """Train the tagger; each report writes the current one to `directory`/tagger/tagger.safetensors."""
    torch.manual_seed(0)
    net = TaggerNet(town.heads()).to(device)
    training = Training(directory / "tagger", {"net": net}, tagger_hyperparameters(device, samples))
    splits = [data.Pictures(directory / "data", split) for split in ("train", "accents")]
    labels_of_splits = [labels("train", len(splits[0]), town), labels("accents", len(splits[1]), town)]

    def loss(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        pictures, wanted = [], []
        half_batch = training.hyperparameters.batch // 2
        for split, split_labels in zip(splits, labels_of_splits, strict=True):
            numbers = torch.randint(len(split), (half_batch,), generator=generator, device=device).cpu()
            pictures.append(split.batch(numbers.tolist()))
            wanted.append(split_labels[numbers])
        augmented = _augmented(torch.cat(pictures).to(device), generator, INK_SHARE if town.has_ink else 0)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = net(augmented.contiguous(memory_format=torch.channels_last)).float()
        columns = torch.cat(wanted).to(device).unbind(dim=1)
        errors = [
            nnf.cross_entropy(head_logits, column, ignore_index=IGNORED, reduction="sum") / len(column)
            for head_logits, column in zip(net.by_head(logits).values(), columns, strict=True)
        ]
        total = torch.stack(errors).mean()
        return total, {"loss": total.detach()}

    def report() -> None:
        tagger = PapertownTagger(net, town.name)
        for accents in (False, True):
            pictures = town.held_out(HELD_OUT, accents)
            truth = [town.attributes(scene) for scene in held_out_scenes(accents, town)]
            looks = {"flat": pictures} | ({"ink": as_ink(pictures)} if town.has_ink else {})
            for look, redrawn in looks.items():
                accuracies = accuracy(tagger, redrawn, truth)
                worst_names = sorted(accuracies, key=lambda name: accuracies[name])[:4]
                worst = ", ".join(f"{name} {accuracies[name]:.3f}" for name in worst_names)
                macro = sum(accuracies.values()) / len(accuracies)
                kind = "with accents" if accents else "without"
                print(f"tagger: {look}, {kind}: macro {macro:.4f}; worst: {worst}", flush=True)
        tagger.save(training.folder / "tagger.safetensors")

    training.run(loss, minutes, report)


def held_out_scenes(accents: bool, town: TaggedWorld = FIRST) -> list[Any]:
    """Return the scenes of `town.held_out(HELD_OUT, accents)`."""
    return [town.scene("held-out accents" if accents else "held-out", n) for n in range(HELD_OUT)]


def labels(split: str, count: int, town: TaggedWorld = FIRST) -> Tensor:
    """Return the right answer of every head for the first `count` scenes of `split`: (count, heads), int64.

    An answer is the index of a head's option, or IGNORED for the colour of something the scene does not have.
    """
    indices = {
        name: {option: i for i, option in enumerate(options)} for name, options in town.heads().items()
    }
    rows = []
    for number in range(count):
        attributes = town.attributes(town.scene(split, number))
        rows.append(
            [
                IGNORED
                if name.endswith("_color") and name not in attributes
                else options[attributes.get(name, NONE)]
                for name, options in indices.items()
            ]
        )
    return torch.tensor(rows)


def accuracy(tagger: PapertownTagger, pictures: Tensor, truth: list[dict[str, str]]) -> dict[str, float]:
    """Return for each attribute the share of uint8 `pictures` where the tagger's answer equals that of `truth`.

    A picture where the attribute is neither present nor seen counts only if it could have been present: a picture
    without a hat says nothing about how well the tagger reads the colours of hats.
    """
    right: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for reading, attributes in zip(tagger.attributes(pictures), truth, strict=True):
        for name in tagger.net.heads:
            if name in attributes or name in reading.confidence:
                counted[name] += 1
                right[name] += reading.attributes.get(name) == attributes.get(name)
    return {name: right[name] / counted[name] for name in counted}


def _augmented(pictures: Tensor, generator: torch.Generator, ink_share: float) -> Tensor:
    """Augment uint8 pictures: shift all, redraw some in ink, blur some, change colours, add noise to some.

    A model's pictures are not as clean as rendered ones. Return float pictures as the network takes them.
    """
    count, device = len(pictures), pictures.device

    def chance(share: float) -> Tensor:
        return (torch.rand(count, generator=generator, device=device) < share).view(-1, 1, 1, 1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    pixels = torch.where(chance(ink_share), as_ink(pictures), pictures).float().div(127.5).sub(1)
    down, right = torch.randint(-4, 5, (2,), generator=generator, device=device).tolist()
    padded = nnf.pad(pixels, (4, 4, 4, 4), mode="replicate")
    pixels = padded[:, :, 4 + down : 132 + down, 4 + right : 132 + right]
    halved = nnf.avg_pool2d(pixels, 2)
    blurred = nnf.interpolate(halved, scale_factor=2, mode="bilinear", align_corners=False)
    pixels = torch.where(chance(0.3), blurred, pixels)
    pixels = pixels * (1 + 0.04 * normal(count, 3, 1, 1)) + 0.04 * normal(count, 3, 1, 1)
    return pixels + torch.where(chance(0.5), 0.08, 0.0) * normal(*pixels.shape)
