"""The stage `tagger`: training Paper Town's tagger on rendered scenes, half of them with accents."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

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
from bootstrap.papertown.training import Plan, Training

INK_SHARE = 0.3
HELD_OUT = 500
IGNORED = -100


def heads() -> Heads:
    """The tagger's heads, in the order of `tags.ATTRIBUTES`: what each attribute can be."""
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


def plan(device: torch.device, samples: int | None) -> Plan:
    """The tagger's training; a GPU can afford more of it."""
    default = 2_000_000 if device.type == "cuda" else 300_000
    return Plan(samples or default, batch=64, muon_lr=0.02, adam_lr=2e-3)


def train(directory: Path, device: torch.device, minutes: float | None, samples: int | None = None) -> None:
    """Train the tagger; the one so far is written to `directory`/tagger/tagger.safetensors."""
    torch.manual_seed(0)
    net = TaggerNet(heads()).to(device)
    training = Training(directory / "tagger", {"net": net}, plan(device, samples))
    splits = [data.Pictures(directory / "data", split) for split in ("train", "accents")]
    answers = [labels("train", len(splits[0])), labels("accents", len(splits[1]))]

    def loss(step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        pictures, wanted = [], []
        for split, own in zip(splits, answers, strict=True):
            numbers = torch.randint(
                len(split), (training.plan.batch // 2,), generator=generator, device=device
            ).cpu()
            pictures.append(split.batch(numbers.tolist()))
            wanted.append(own[numbers])
        seen = _roughened(torch.cat(pictures).to(device), generator)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = net(seen.contiguous(memory_format=torch.channels_last)).float()
        columns = torch.cat(wanted).to(device).unbind(dim=1)
        errors = [
            nnf.cross_entropy(own, column, ignore_index=IGNORED, reduction="sum") / len(column)
            for own, column in zip(net.by_head(logits).values(), columns, strict=True)
        ]
        total = torch.stack(errors).mean()
        return total, {"loss": total.detach()}

    def report() -> None:
        tagger = PapertownTagger(net)
        for accents in (False, True):
            pictures = data.held_out(HELD_OUT, accents)
            truth = [world.attributes(s) for s in held_out_scenes(accents)]
            for look, shown in (("flat", pictures), ("ink", as_ink(pictures))):
                right = accuracy(tagger, shown, truth)
                worst = ", ".join(
                    f"{name} {right[name]:.3f}" for name in sorted(right, key=lambda name: right[name])[:4]
                )
                macro = sum(right.values()) / len(right)
                kind = "with accents" if accents else "without"
                print(f"tagger: {look}, {kind}: macro {macro:.4f}; worst: {worst}", flush=True)
        tagger.save(training.folder / "tagger.safetensors")

    training.run(loss, minutes, report)


def held_out_scenes(accents: bool) -> list[world.Scene]:
    """The scenes of `data.held_out(HELD_OUT, accents)`."""
    return [data.scene("held-out accents" if accents else "held-out", n) for n in range(HELD_OUT)]


def labels(split: str, count: int) -> Tensor:
    """The right answer of every head for the first `count` scenes of `split`: (count, heads), int64.

    IGNORED stands for the colour of something that is not there.
    """
    places = {name: {option: i for i, option in enumerate(options)} for name, options in heads().items()}
    rows = []
    for number in range(count):
        shown = world.attributes(data.scene(split, number))
        rows.append(
            [
                IGNORED if name.endswith("_color") and name not in shown else options[shown.get(name, NONE)]
                for name, options in places.items()
            ]
        )
    return torch.tensor(rows)


def accuracy(tagger: PapertownTagger, pictures: Tensor, truth: list[dict[str, str]]) -> dict[str, float]:
    """For each attribute the share of uint8 `pictures` where the tagger's answer is that of `truth`.

    Pictures where the attribute is neither there nor seen count only where it could have been: a picture
    without a hat says nothing of how well colours of hats are read.
    """
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for reading, shown in zip(tagger.attributes(pictures), truth, strict=True):
        for name in tagger.net.heads:
            if name in shown or name in reading.sureness:
                asked[name] += 1
                right[name] += reading.attributes.get(name) == shown.get(name)
    return {name: right[name] / asked[name] for name in asked}


def _roughened(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """uint8 pictures as the network takes them, worse: shifted, some in ink, blurred, noisy, off in colour.

    A model's pictures are not as clean as rendered ones.
    """
    count, device = len(pictures), pictures.device

    def chance(share: float) -> Tensor:
        return (torch.rand(count, generator=generator, device=device) < share).view(-1, 1, 1, 1)

    def spread(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    drawn = torch.where(chance(INK_SHARE), as_ink(pictures), pictures).float().div(127.5).sub(1)
    down, right = torch.randint(-4, 5, (2,), generator=generator, device=device).tolist()
    drawn = nnf.pad(drawn, (4, 4, 4, 4), mode="replicate")[
        :, :, 4 + down : 132 + down, 4 + right : 132 + right
    ]
    coarse = nnf.interpolate(nnf.avg_pool2d(drawn, 2), scale_factor=2, mode="bilinear", align_corners=False)
    drawn = torch.where(chance(0.3), coarse, drawn)
    drawn = drawn * (1 + 0.04 * spread(count, 3, 1, 1)) + 0.04 * spread(count, 3, 1, 1)
    return drawn + torch.where(chance(0.5), 0.08, 0.0) * spread(*drawn.shape)
