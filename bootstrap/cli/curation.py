"""The verbs of curation: duplicates (`dedupe`, `keep-apart`, `represent`), `reject-unlikely`, `tags` and `retag`."""

from pathlib import Path
from typing import Annotated

import typer

from bootstrap import captions
from bootstrap.cli.common import Name, reviewer, workspace_of
from bootstrap.errors import UserError


def add_verbs(app: typer.Typer) -> None:
    """Add them to the command line."""
    app.command("dedupe")(dedupe)
    app.command("keep-apart")(keep_apart)
    app.command("represent")(represent)
    app.command("reject-unlikely")(reject_unlikely)
    app.command("tags")(tags)
    app.command("retag")(retag)


def dedupe(
    context: typer.Context,
    name: Name,
    explain: Annotated[
        bool, typer.Option("--explain", help="Draw the pairs nearest to the line on a sheet.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Compare all without a verdict anew, with the present settings.")
    ] = False,
    count: Annotated[int, typer.Option(min=2, max=300, help="Pairs on the sheet.")] = 24,
    output: Annotated[
        Path | None, typer.Option(help="The PNG to write.", show_default="pairs.png in the project's folder")
    ] = None,
) -> None:
    """List what shows the same picture; or show where the line runs (section dedupe of project.toml)."""
    from bootstrap.catalog import Catalog
    from bootstrap.catalog.candidates import ORIGINAL
    from bootstrap.curation import clusters, explaining

    chosen = workspace_of(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    if again:
        shown, hidden = clusters.compare_again(chosen, catalog)
        typer.echo(f"{shown} shown that were duplicates, {hidden} hidden that were not")
    if explain:
        pairs = explaining.pairs_around(chosen, catalog, count)
        path = output or chosen.folder / "pairs.png"
        explaining.draw_pairs(chosen, catalog, pairs, path)
        for pair in pairs:
            mirrored = "  mirrored" if pair.is_mirrored else ""
            typer.echo(
                f"{pair.earlier}  {pair.later}  {pair.distance:>2} bits  {pair.difference:.3f}{mirrored}"
            )
        typer.echo(f"sheet: {path}")
    elif not again:
        found = clusters.clusters(catalog, chosen.name)
        for group in found:
            shown_as = group.representative.id if group.representative else ORIGINAL
            typer.echo(f"{shown_as}: {', '.join(one.id for one in group.others)}")
        typer.echo(f"{sum(len(group.others) for group in found)} duplicates in {len(found)} groups")


def keep_apart(
    context: typer.Context,
    name: Name,
    one: Annotated[str, typer.Argument(metavar="ID", help="A candidate's id, or a beginning of it.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help='Another one\'s, or "original".')],
) -> None:
    """Say that two pictures are no duplicates; that stays so."""
    from bootstrap.catalog import Catalog, candidates
    from bootstrap.catalog.candidates import ORIGINAL
    from bootstrap.curation import clusters

    chosen = workspace_of(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    pair = [
        given if given == ORIGINAL else candidates.candidate(catalog, chosen.name, given).id
        for given in (one, other)
    ]
    shown = clusters.keep_apart(chosen, catalog, pair[0], pair[1], reviewer())
    typer.echo(f"kept apart: {pair[0]} and {pair[1]}" + (f"; shown now: {', '.join(shown)}" if shown else ""))


def represent(
    context: typer.Context,
    name: Name,
    candidate: Annotated[str, typer.Argument(metavar="ID", help="A duplicate's id, or a beginning of it.")],
) -> None:
    """Show a duplicate in place of the candidate that stands for its group."""
    from bootstrap.catalog import Catalog, candidates
    from bootstrap.curation import clusters

    chosen = workspace_of(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    whole = candidates.candidate(catalog, chosen.name, candidate).id
    clusters.represent(chosen, catalog, whole)
    typer.echo(f"shown for its group: {whole}")


def reject_unlikely(
    context: typer.Context,
    name: Name,
    below: Annotated[float, typer.Option(min=0, max=1, help="How likely a pick is at most.")] = 0.05,
    generation: Annotated[int | None, typer.Option(min=1, show_default="the latest")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Reject what is left of a generation and unlikely to be a pick, as your verdicts tell; asks first."""
    from bootstrap.catalog import Catalog, candidates, generations, verdicts
    from bootstrap.catalog.states import Verdict
    from bootstrap.curation import ranking
    from bootstrap.project.generation import Generation

    chosen = workspace_of(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    number = generation or generations.latest(catalog, chosen.name) or 1
    found = ranking.unlikely(Generation(chosen, catalog, number), below)
    if not found:
        typer.echo(f"generation {number}: no candidate is less likely than {below:g}")
        return
    left = len(candidates.candidates(catalog, chosen.name, generation=number, verdict=Verdict.UNDECIDED))
    typer.echo(
        f"generation {number}: {len(found)} of {left} undecided candidates are less likely than {below:g}, from "
        f"{found[0][1]:.3f} to {found[-1][1]:.3f}"
    )
    if yes or typer.confirm("Reject them?"):
        verdicts.decide(catalog, chosen.name, [one for one, _ in found], Verdict.REJECT, reviewer())
        typer.echo(f"{len(found)} rejected; `sid undo {name}` takes all of that back")


def tags(
    context: typer.Context,
    name: Name,
    everything: Annotated[
        bool, typer.Option("--all", help="Each tag with how many pictures have it.")
    ] = False,
) -> None:
    """Tell what is not consistent in the dataset's captions: rare tags, nearly the same ones, missing ones."""
    from bootstrap.catalog import Catalog
    from bootstrap.dataset import retagging

    chosen = workspace_of(context).project(name)
    found = retagging.consistency(chosen, Catalog(chosen.workspace.catalog_url))
    typer.echo(f"{found.pictures} pictures, {len(found.uses)} tags")
    if everything:
        for tag, count in found.uses.items():
            typer.echo(f"{count:>6}  {tag}")
    if found.once:
        typer.echo(f"\nof one picture only: {captions.join(found.once)}")
    if found.alike:
        typer.echo(f'\nnearly the same (`sid retag {name} --rename "OLD=NEW"` makes them one):')
        for one, other in found.alike:
            typer.echo(f"  {one} ({found.uses[one]})  {other} ({found.uses[other]})")
    if found.lacking:
        typer.echo(f"\nwithout a tag that each pick should have ({captions.join(found.required)}):")
        for candidate_id, missing in found.lacking.items():
            typer.echo(f"  {candidate_id}  {captions.join(missing)}")
    if found.is_clean:
        typer.echo("\nno two tags are nearly the same, and no pick lacks a required one")


def retag(
    context: typer.Context,
    name: Name,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID...]", help="Picks, or beginnings of their ids.", show_default="all"),
    ] = None,
    add: Annotated[str, typer.Option(help='Tags to put at the end: "outdoors, smile".')] = "",
    remove: Annotated[str, typer.Option(help="Tags to take out.")] = "",
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="A tag, and what stands in its place; repeatable."),
    ] = None,
    having: Annotated[str, typer.Option(metavar="TAG", help="Only picks with this tag.")] = "",
) -> None:
    """Change the tags of many picks' captions at once; the next training learns with these."""
    from bootstrap.catalog import Catalog, candidates
    from bootstrap.dataset import retagging

    chosen = workspace_of(context).project(name)
    catalog = Catalog(chosen.workspace.catalog_url)
    edit = retagging.TagEdit(
        tuple(captions.parse(add)),
        tuple(captions.parse(remove)),
        tuple(_renaming(one) for one in rename or []),
    )
    whole = [candidates.candidate(catalog, chosen.name, one).id for one in ids or []]
    count = retagging.retag(chosen, catalog, edit, whole or None, having)
    typer.echo(f"{count} captions changed" if count != 1 else "1 caption changed")


def _renaming(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals or not old.strip() or not captions.parse(new):
        raise UserError(f'--rename {text}: write it as "OLD=NEW"; `--remove` takes a tag out')
    return captions.join(captions.parse(old)), captions.join(captions.parse(new))
