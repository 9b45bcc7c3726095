"""`sid lora`: inspect, convert and resize LoRA files."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bootstrap.cli.common import print_json, say
from bootstrap.errors import cell

if TYPE_CHECKING:
    from bootstrap.lora.header import Recognized

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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a file was made for, its format, modules, ranks, alphas and the metadata of the training."""
    from bootstrap.lora import header
    from bootstrap.models import specs

    if base is not None:
        specs.find(base)
    found = header.recognized(file)
    if found.family is None and base is not None:
        header.drawable(file)
    facts = _facts(file, found)
    if base is not None:
        facts["base"] = _fit(file, base)
    if as_json:
        print_json(facts)
    else:
        _print_facts(facts)


def _facts(file: Path, found: "Recognized") -> dict[str, Any]:
    """Return what `inspect` shows; a file for a model without a family here has no alphas."""
    from bootstrap.lora import formats, header

    facts: dict[str, Any] = {
        "file": str(file), "family": found.key, "made_for": found.title, "format": found.format,
        "kinds": header.kinds_of(found.shapes), "drawable": found.family is not None,
    }  # fmt: skip
    if found.family is None:
        modules = header.modules_of(found.shapes)
        facts |= {"modules": {"all": len(modules)}, "ranks": _counts(modules.values()), "alphas": {}}
        return facts | {"embeddings": [], "metadata": dict(sorted(found.metadata.items()))}
    lora = formats.read(file)
    parts = Counter(found.family.part_title(name) for name in lora.names)
    return facts | {
        "modules": dict(sorted(parts.items())),
        "ranks": _counts(module.rank for module in lora.modules.values()),
        "alphas": _counts(module.alpha for module in lora.modules.values()),
        "embeddings": sorted(header.embeddings_of(found.shapes)),
        "metadata": dict(sorted(lora.metadata.items())),
    }


def _counts(values: Iterable[float | None]) -> dict[str, int]:
    return {f"{value:g}": count for value, count in Counter(values).most_common() if value is not None}


def _print_facts(facts: dict[str, Any]) -> None:
    say(f"format: {facts['format']}")
    if facts["kinds"] not in (["LoRA"], []):
        is_other = any(kind.startswith("Lo") and kind != "LoRA" for kind in facts["kinds"])
        rest = "; ranks and alphas are those of the equivalent LoRA" if is_other else ""
        say(f"kind: {', '.join(facts['kinds'])}{rest}")
    say(f"made for: {facts['made_for']}")
    if not facts["drawable"]:
        say("  sid does not draw with LoRAs for it")
    of_part = "" if list(facts["modules"]) == ["all"] else " of the "
    modules = (f"{count}{of_part}{part if of_part else ''}" for part, count in facts["modules"].items())
    say(f"modules: {', '.join(modules) or 'none'}")
    for title, counts in (("rank", facts["ranks"]), ("alpha", facts["alphas"])):
        if counts:
            say(f"{title}: {_with_counts(counts)}")
    if facts["embeddings"]:
        say(f"embeddings: {', '.join(facts['embeddings'])}")
    for key, value in facts["metadata"].items():
        say(f"{cell(key, 100)}: {cell(value, 200)}")
    if "base" in facts:
        fit = facts["base"]
        say(f"{fit['name']}: {fit['fitting']} of {fit['modules']} modules fit")
        for name in fit["unknown"][:10]:
            say(f"  it has no {name}")


def _with_counts(counts: dict[str, int]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{value} ({count} modules)" for value, count in counts.items())


def _fit(file: Path, base: str) -> dict[str, Any]:
    from bootstrap.lora import formats
    from bootstrap.lora.targets import layers_of
    from bootstrap.models import loading, specs

    known = {name for layers in layers_of(loading.hold(specs.find(base))) for name in layers}
    modules = formats.read(file).names
    unknown = [name for name in modules if name not in known]
    return {
        "name": base,
        "fitting": len(modules) - len(unknown),
        "modules": len(modules),
        "unknown": unknown,
    }


@app.command()
def convert(
    file: Source,
    out: Target,
    to: Annotated[str, typer.Option("--to", help="kohya, diffusers or comfyui.")],
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
    from bootstrap.lora import converting, formats
    from bootstrap.lora import resize as resizing

    converting.check_target(file, out)
    lora = formats.read(file)
    resized = resizing.resize(lora, rank)
    converting.write_kohya(out, resized.lora)
    say(f"{out}: rank {rank}, {100 * resized.kept:.2f} % of the deltas' squares kept")
