"""The order of the verbs in `sid --help`, and the panels that group them."""

import typer
from typer.core import TyperGroup

PANELS = {
    "From one picture to a LoRA": ("new", "plan", "run", "up", "status", "grow", "export"),
    "Review": ("review", "candidates", "accept", "reject", "undo", "caption", "again", "inpaint", "import"),
    "Fewer to look at": ("dedupe", "keep-apart", "represent", "reject-unlikely"),
    "Settings and snapshots": ("set", "samplers", "advise", "sheet"),
    "Captions": ("tag", "tags", "retag", "draw-tags"),
    "Pictures and LoRA files": ("show", "redraw", "lora"),
    "Nights and several machines": ("serve", "deploy", "worker", "report", "password"),
    "Projects and workspace": ("demo", "rename", "delete", "doctor", "reindex", "papertown"),
}
_PANEL_OF = {verb: panel for panel, verbs in PANELS.items() for verb in verbs}
_ORDER = list(_PANEL_OF)


class InPanels(TyperGroup):
    """The `sid` command, whose help lists the verbs in the order of PANELS."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Return the verbs' names; one that no panel has comes last."""
        return sorted(self.commands, key=lambda verb: _ORDER.index(verb) if verb in _ORDER else len(_ORDER))


def assign(app: typer.Typer) -> None:
    """Give each verb and each group of verbs its panel."""
    for verb in app.registered_commands:
        name = verb.name or getattr(verb.callback, "__name__", "")
        verb.rich_help_panel = _PANEL_OF.get(str(name), "More")
    for group in app.registered_groups:
        group.rich_help_panel = _PANEL_OF.get(str(group.name), "More")
