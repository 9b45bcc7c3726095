"""The verbs of curation: `dedupe`, `keep-apart`, `represent`, `reject-unlikely`, `tags` and `retag`."""

from pathlib import Path
from typing import Annotated

import typer

from bootstrap import captions
from bootstrap.cli.common import MOST_GENERATIONS, Name, reviewer, say, say_text, workspace_of
from bootstrap.commands import command
from bootstrap.errors import UserError


def add_verbs(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
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
        bool, typer.Option("--explain", help="Draw a sheet of the pairs nearest to the threshold.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Compare all candidates without a verdict again, with the current settings."
        ),
    ] = False,
    count: Annotated[int, typer.Option(min=2, max=300, help="How many pairs the sheet shows.")] = 24,
    output: Annotated[
        Path | None, typer.Option(help="The PNG to write.", show_default="pairs.png in the project's folder")
    ] = None,
) -> None:
    """List the duplicates, or show where the threshold lies (section dedupe of project.toml)."""
    from bootstrap.catalog.candidates import ORIGINAL
    from bootstrap.curation import clusters, explaining

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    if again:
        shown, hidden = clusters.compare_again(project, catalog)
        say(f"{shown} former duplicates are shown now, {hidden} candidates are newly hidden as duplicates")
    if explain:
        pairs = explaining.pairs_around(project, catalog, count)
        path = output or project.folder / "pairs.png"
        explaining.draw_pairs(project, catalog, pairs, path)
        for pair in pairs:
            mirrored = "  mirrored" if pair.is_mirrored else ""
            say(f"{pair.earlier}  {pair.later}  {pair.distance:>2} bits  {pair.difference:.3f}{mirrored}")
        say(f"sheet: {path}")
    elif not again:
        groups = clusters.clusters(catalog, project.name)
        for group in groups:
            representative = group.representative.id if group.representative else ORIGINAL
            say(f"{representative}: {', '.join(duplicate.id for duplicate in group.others)}")
        say(f"{sum(len(group.others) for group in groups)} duplicates in {len(groups)} groups")


def keep_apart(
    context: typer.Context,
    name: Name,
    first: Annotated[
        str, typer.Argument(metavar="ID", help="The id of a candidate, or its first characters.")
    ],
    second: Annotated[
        str, typer.Argument(metavar="OTHER", help='The id of another candidate, or "original".')
    ],
) -> None:
    """Declare that two pictures are not duplicates, for good."""
    from bootstrap.catalog import candidates
    from bootstrap.catalog.candidates import ORIGINAL
    from bootstrap.curation import clusters

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    pair = [
        name_or_id if name_or_id == ORIGINAL else candidates.candidate(catalog, project.name, name_or_id).id
        for name_or_id in (first, second)
    ]
    shown_again = clusters.keep_apart(project, catalog, pair[0], pair[1], reviewer())
    say(
        f"kept apart: {pair[0]} and {pair[1]}"
        + (f"; shown now: {', '.join(shown_again)}" if shown_again else "")
    )


def represent(
    context: typer.Context,
    name: Name,
    candidate: Annotated[
        str, typer.Argument(metavar="ID", help="The id of a duplicate, or its first characters.")
    ],
) -> None:
    """Show a duplicate instead of the candidate that represents its group."""
    from bootstrap.catalog import candidates
    from bootstrap.curation import clusters

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    candidate_id = candidates.candidate(catalog, project.name, candidate).id
    clusters.represent(project, catalog, candidate_id)
    say(f"shown for its group: {candidate_id}")


def reject_unlikely(
    context: typer.Context,
    name: Name,
    below: Annotated[
        float, typer.Option(min=0, max=1, help="Reject candidates whose chance of being a pick is lower.")
    ] = 0.05,
    generation: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_GENERATIONS, help="Of this generation.", show_default="the latest"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Reject the undecided candidates of a generation that your verdicts make unlikely picks; asks first."""
    from bootstrap.catalog import candidates, generations, verdicts
    from bootstrap.catalog.states import Verdict
    from bootstrap.curation import ranking
    from bootstrap.project.generation import Generation

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    number = generation or generations.latest(catalog, project.name) or 1
    unlikely = ranking.unlikely(Generation(project, catalog, number), below)
    if not unlikely:
        say(f"generation {number}: no candidate is less likely than {below:g}")
        return
    undecided = len(
        candidates.candidates(catalog, project.name, generation=number, verdict=Verdict.UNDECIDED)
    )
    say(
        f"generation {number}: {len(unlikely)} of {undecided} undecided candidates are less likely than {below:g}, "
        f"from {unlikely[0][1]:.3f} to {unlikely[-1][1]:.3f}"
    )
    if yes or typer.confirm("Reject them?"):
        verdicts.decide(
            catalog, project.name, [candidate_id for candidate_id, _ in unlikely], Verdict.REJECT, reviewer()
        )
        say(f"{len(unlikely)} rejected; `{command('undo', name)}` takes them all back")


def tags(
    context: typer.Context,
    name: Name,
    everything: Annotated[
        bool, typer.Option("--all", help="List every tag with the number of pictures that have it.")
    ] = False,
) -> None:
    """Report inconsistencies in the dataset's captions: rare tags, near-identical tags, missing tags."""
    from bootstrap.dataset import retagging

    project = workspace_of(context).project(name)
    report = retagging.consistency(project, project.workspace.open_catalog())
    say(f"{report.pictures} pictures, {len(report.uses)} tags")
    if everything:
        for tag, count in report.uses.items():
            say(f"{count:>6}  {tag}")
    if report.once:
        say("")
        say_text(captions.join(report.once), "of one picture only: ")
    if report.alike:
        say("")
        say(f"nearly the same (`{command('retag', name, '--rename', 'OLD=NEW')}` makes them one):")
        for first, second in report.alike:
            say(f"  {first} ({report.uses[first]})  {second} ({report.uses[second]})")
    if report.lacking:
        say("")
        say(f"without a tag that each pick should have ({captions.join(report.required)}):")
        for candidate_id, missing in report.lacking.items():
            say(f"  {candidate_id}  {captions.join(missing)}")
    if report.is_clean:
        say("")
        say("no two tags are nearly the same, and no pick lacks a required one")


def retag(
    context: typer.Context,
    name: Name,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID...]", help="The ids of picks, or their first characters.", show_default="all"
        ),
    ] = None,
    add: Annotated[str, typer.Option(help='Tags to append: "outdoors, smile".')] = "",
    remove: Annotated[str, typer.Option(help="Tags to remove.")] = "",
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Rename a tag; repeatable."),
    ] = None,
    having: Annotated[str, typer.Option(metavar="TAG", help="Change only picks with this tag.")] = "",
) -> None:
    """Change the tags of many captions at once; the next training uses the new captions."""
    from bootstrap.catalog import candidates
    from bootstrap.dataset import retagging

    project = workspace_of(context).project(name)
    catalog = project.workspace.open_catalog()
    edit = retagging.TagEdit(
        tuple(_written(add, "--add")),
        tuple(captions.parse(remove)),
        tuple(_parse_renaming(text) for text in rename or []),
    )
    pick_ids = [candidates.candidate(catalog, project.name, prefix).id for prefix in ids or []]
    count = retagging.retag(project, catalog, edit, pick_ids or None, having)
    say(f"{count} captions changed" if count != 1 else "1 caption changed")


def _parse_renaming(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    new_tags = _written(new, f"--rename {text}")
    if not equals or not old.strip() or not new_tags:
        raise UserError(f'--rename {text}: write it as "OLD=NEW"; `--remove` removes a tag')
    return captions.join(captions.parse(old)), captions.join(new_tags)


def _written(tags: str, option: str) -> list[str]:
    try:
        return captions.read(tags)
    except ValueError as error:
        raise UserError(f"{option}: {error}") from None
