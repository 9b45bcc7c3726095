"""What Prodigy needs to train a LoRA within the method's 120 steps, beside AdamW.

    python benchmarks/optimizers.py [--originals badge crown]

Trains on originals of Paper Town at the method's length (6 epochs of 20 steps, batch size 1), and draws 8 pictures of
the caption with the last snapshot at strength 1. Prints a table, and writes it to benchmarks/results/optimizers.md: the
size of all B@A (the root of their summed squares, scaled as drawing scales them) after each epoch, the share of the
caption's tags that Paper Town's tagger sees, and how often it sees the accent, which only the LoRA knows.
"""

import argparse
import math
import tempfile
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from bootstrap import captions
from bootstrap.drawing import engine
from bootstrap.files import write_text
from bootstrap.lora.kohya import LoraFile
from bootstrap.models import loading, specs
from bootstrap.models.family import BaseModel
from bootstrap.papertown.shipped import ORIGINALS
from bootstrap.papertown.tagger import PapertownTagger
from bootstrap.progress import silent
from bootstrap.project.settings import TrainingSection
from bootstrap.shots import LoraUse, Shot
from bootstrap.training import trainer
from bootstrap.training.identity import Example
from bootstrap.training.optimizer_options import PRODIGY

RESULTS = Path(__file__).parent / "results" / "optimizers.md"
FOLDER = Path(trainer.__file__).parent.parent / "papertown" / "originals"
PICTURES = 8
# What Prodigy is given besides weight decay and bias correction.
OPTIONS = {
    "d0 1e-6, safeguard": {"safeguard_warmup": True},
    "d0 1e-5, safeguard": {"safeguard_warmup": True, "d0": 1e-5},
    "d0 1e-4, safeguard": {"safeguard_warmup": True, "d0": 1e-4},
    "d0 1e-6": {},
    "d0 1e-5": {"d0": 1e-5},
    "d0 1e-4": {"d0": 1e-4},
}
COLUMNS = ("optimizer", "scheduler", "size of B@A by epoch", "tags seen", "accent seen")


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--originals", nargs="+", choices=list(ORIGINALS), default=["badge"])
    names = parser.parse_args().originals
    base = loading.hold(specs.find("papertown"))
    defaults = {"repeats": 20, "network_dim": 32, "shuffle_caption": True}
    rates = {"unet_lr": 1.2e-3, "text_encoder_lr": 2e-4}
    trials = [("AdamW", rates, {})]
    trials += [
        (f"Prodigy, {title}", {"optimizer": "Prodigy", "unet_lr": 1, "text_encoder_lr": 1}, options)
        for title, options in OPTIONS.items()
    ]
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    usual = dict(PRODIGY)
    for title, changes, options in trials:
        for scheduler in ("constant", "cosine"):
            PRODIGY.clear()
            PRODIGY.update({"weight_decay": 0.01, "use_bias_correction": True, **options})
            settings = TrainingSection(**defaults, **changes, lr_scheduler=scheduler)
            found = [measured(base, name, settings) for name in names]
            sizes = ", ".join(f"{size:.3g}" for size in np.mean([sizes for sizes, _, _ in found], axis=0))
            tags, accent = (float(np.mean([one[index] for one in found])) for index in (1, 2))
            lines.append(f"| {title} | {scheduler} | {sizes} | {tags:.0%} | {accent:.0%} |")
            print(lines[-1], flush=True)
    PRODIGY.clear()
    PRODIGY.update(usual)
    text = "# Prodigy within 120 steps\n\n`python benchmarks/optimizers.py`, " + ", ".join(names)
    write_text(RESULTS, text + f", {PICTURES} pictures each\n\n" + "\n".join(lines) + "\n")


def measured(base: BaseModel, name: str, settings: TrainingSection) -> tuple[list[float], float, float]:
    """Train on an original; return the size of B@A by epoch, and the shares of tags and accents that are seen."""
    path = FOLDER / f"{name}.png"
    accent = ORIGINALS[name].accent
    assert accent is not None
    tags = captions.parse(path.with_suffix(".txt").read_text())
    caption = captions.join([tags[0], accent, *[tag for tag in tags[1:] if tag != accent]])
    picture = sha256(path.read_bytes()).hexdigest()
    example = Example(str(path), picture, caption, settings.repeats, Image.open(path).size)
    results: list[trainer.EpochResult] = []
    sizes: list[float] = []

    def keep(result: trainer.EpochResult) -> None:
        squares = (
            float(
                (module.alpha / module.rank * (module.up.flatten(1) @ module.down.flatten(1))).square().sum()
            )
            for module in result.modules.values()
        )
        sizes.append(math.sqrt(sum(squares)))
        results.append(result)

    with tempfile.TemporaryDirectory() as folder:
        trainer.train(
            base, [example], settings, Path(folder) / "state", Path(folder) / "latents", keep, silent
        )
    lora = LoraFile(results[-1].modules, {})
    use = LoraUse(name, "t", settings.epochs, 1.0)
    shots = [
        Shot(caption, "", seed, 16, "DDIM", 3.0, 128, 128, "papertown", base.hash, (use,))
        for seed in range(PICTURES)
    ]
    tagger = PapertownTagger.bundled()
    pictures = [
        drawing.picture for batch in engine.draw_batches(base, shots, {use: lora}, 16) for drawing in batch
    ]
    seen = [{score.tag for score in scores} for scores in tagger.read(pictures)]
    wanted = captions.parse(caption)
    return (
        sizes,
        float(np.mean([tag in one for one in seen for tag in wanted])),
        float(np.mean([accent in one for one in seen])),
    )


if __name__ == "__main__":
    main()
