"""`sid lora`: inspect, convert and resize LoRA files."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from bootstrap.cli.common import say
from bootstrap.errors import cell

app = typer.Typer(help="Inspect, convert and resize LoRA files.", no_args_is_help=True)

Source = Annotated[Path, typer.Argument(metavar="FILE", help="A LoRA file, .safetensors.")]
Target = Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")]

# The verbs import torch in their bodies: it takes seconds, which the other verbs need not wait for.


@app.command()
def inspect(
    file: Source,
    base: Annotated[
        str | None,
        typer.Option(help="Also report how many modules fit this base model, which is loaded for that."),
    ] = None,
) -> None:
    """Show format, modules, ranks, alphas and the metadata of the training."""
    from bootstrap.lora import formats, header
    from bootstrap.models import specs

    if base is not None:
        specs.find(base)
    lora = formats.read(file)
    family = header.family_of(file)
    parts = Counter(family.part_title(name) for name in lora.modules)
    say(f"format: {formats.format_of(file)}")
    kind = formats.kind_of(file)
    if kind != "LoRA":
        say(f"kind: {kind}; ranks and alphas are those of the equivalent LoRA")
    say(f"made for: {family.title}")
    say("modules: " + ", ".join(f"{count} of the {part}" for part, count in sorted(parts.items())))
    say("rank: " + _with_counts([module.rank for module in lora.modules.values()]))
    say("alpha: " + _with_counts([module.alpha for module in lora.modules.values()]))
    for key, value in sorted(lora.metadata.items()):
        say(f"{cell(key, 100)}: {cell(value, 200)}")
    if base is not None:
        _print_fit(lora.modules, base)


def _with_counts(values: list[int] | list[float]) -> str:
    counts = Counter(values).most_common()
    if len(counts) == 1:
        return f"{counts[0][0]:g}"
    return ", ".join(f"{value:g} ({count} modules)" for value, count in counts)


def _print_fit(names: Iterable[str], base: str) -> None:
    from bootstrap.lora.targets import target_modules
    from bootstrap.models import loading, specs

    known = target_modules(loading.hold(specs.find(base)), convolutions=True)
    modules = list(names)
    unknown = [name for name in modules if name not in known]
    say(f"{base}: {len(modules) - len(unknown)} of {len(modules)} modules fit")
    for name in unknown[:10]:
        say(f"  it has no {name}")


@app.command()
def convert(
    file: Source,
    out: Target,
    to: Annotated[str, typer.Option("--to", help="kohya or diffusers.")],
) -> None:
    """Write a LoRA in another format; its effect is unchanged."""
    from bootstrap.lora import converting

    say(f"{converting.convert(file, out, to)} modules written to {out}")


@app.command()
def resize(
    file: Source,
    out: Target,
    rank: Annotated[int, typer.Option(help="The new rank (network_dim), smaller than the old one.")],
) -> None:
    """Write a LoRA of a smaller rank, as close to the original as possible."""
    from bootstrap.lora import converting, formats, kohya
    from bootstrap.lora import resize as resizing

    converting.check_target(file, out)
    lora = formats.read(file)
    resized = resizing.resize(lora, rank)
    kohya.write(out, resized.lora.modules, kohya.own_metadata(resized.lora), kohya.dtype_of(lora))
    say(f"{out}: rank {rank}, {100 * resized.kept:.2f} % of the deltas' squares kept")
