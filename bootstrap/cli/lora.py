"""`sid lora`: look into LoRA files, convert and resize them."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look into LoRA files, convert and resize them.", no_args_is_help=True)

Source = Annotated[Path, typer.Argument(metavar="FILE", help="A LoRA, .safetensors.")]
Target = Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")]

# torch takes seconds to import, and only these verbs need it here.


@app.command()
def inspect(
    file: Source,
    base: Annotated[
        str | None, typer.Option(help="Tell how many modules fit this base model; it is loaded for that.")
    ] = None,
) -> None:
    """Show format, modules, ranks, alphas and what the file says of its training."""
    from bootstrap.lora import formats, header
    from bootstrap.models import specs

    if base is not None:
        specs.find(base)
    found = formats.format_of(file)
    lora = formats.read(file)
    family = header.family_of(file)
    parts = Counter(family.part_title(name) for name in lora.modules)
    typer.echo(f"format: {found}")
    kind = formats.kind_of(file)
    if kind != "LoRA":
        typer.echo(f"kind: {kind}; ranks and alphas are those of the LoRA that adds the same")
    typer.echo(f"made for: {family.title}")
    typer.echo("modules: " + ", ".join(f"{count} of the {part}" for part, count in sorted(parts.items())))
    typer.echo("rank: " + _counted([module.rank for module in lora.modules.values()]))
    typer.echo("alpha: " + _counted([module.alpha for module in lora.modules.values()]))
    for key, value in sorted(lora.metadata.items()):
        typer.echo(f"{key}: {value if len(value) <= 200 else value[:200] + '...'}")
    if base is not None:
        _tell_fit(lora.modules, base)


def _counted(values: list[int] | list[float]) -> str:
    counts = Counter(values).most_common()
    if len(counts) == 1:
        return f"{counts[0][0]:g}"
    return ", ".join(f"{value:g} ({count} modules)" for value, count in counts)


def _tell_fit(names: Iterable[str], base: str) -> None:
    from bootstrap.lora.targets import target_modules
    from bootstrap.models import loading, specs

    known = target_modules(loading.hold(specs.find(base)), convolutions=True)
    found = list(names)
    unknown = [name for name in found if name not in known]
    typer.echo(f"{base}: {len(found) - len(unknown)} of {len(found)} modules fit")
    for name in unknown[:10]:
        typer.echo(f"  it has no {name}")


@app.command()
def convert(
    file: Source,
    out: Target,
    to: Annotated[str, typer.Option("--to", help="kohya or diffusers.")],
) -> None:
    """Write a LoRA in another format; it draws the same."""
    from bootstrap.lora import converting

    typer.echo(f"{converting.convert(file, out, to)} modules written to {out}")


@app.command()
def resize(
    file: Source,
    out: Target,
    rank: Annotated[int, typer.Option(help="The new network_dim, smaller than the old one.")],
) -> None:
    """Write a LoRA with fewer dimensions, as close to the old one as can be."""
    from bootstrap.lora import converting, formats, kohya
    from bootstrap.lora import resize as resizing

    converting.check_target(file, out)
    lora = formats.read(file)
    resized = resizing.resize(lora, rank)
    kohya.write(out, resized.lora.modules, kohya.own_metadata(resized.lora), kohya.dtype_of(lora))
    typer.echo(f"{out}: rank {rank}, {100 * resized.kept:.2f} % of the deltas' squares kept")
