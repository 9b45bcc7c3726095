"""Reports for people: Prefect artifacts with counts and contact sheet, and a file for each night."""

import base64
import io
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from bootstrap.commands import command
from bootstrap.errors import printable
from bootstrap.files import write_text

_EMBEDDED_WIDTH = 640  # pixels; the whole sheet is on disk, and Prefect's database is no place for pictures


def report_generation(summary: dict[str, Any]) -> None:
    """Create the artifact of a finished generation; see `bootstrap.loop.generation.Summary` for the fields."""
    create_markdown_artifact(
        key=key("generation", summary["project"]),
        markdown=generation_markdown(summary),
        description=f"Generation {summary['number']} of project '{summary['project']}'",
    )


def generation_markdown(summary: dict[str, Any]) -> str:
    """Return the counts as a table, a small contact sheet, and the path of the full one."""
    sheet = Path(summary["sheet"])
    return f"""\
# {summary["project"]}, generation {summary["number"]}

| drawn | duplicates | published |
| ---: | ---: | ---: |
| {summary["drawn"]} | {summary["duplicates"]} | {summary["published"]} |

![contact sheet]({_data_url(sheet)})

Contact sheet: `{sheet}`

Next: `{command("up")}`
"""


def report_night(rows: list[dict[str, str]], workspace: Path) -> None:
    """Create the artifact of a night, one row per project with outcome and reason, and the same as a Markdown file."""
    write_text(folder(workspace) / f"{datetime.now():%Y-%m-%d-%H%M%S}.md", night_markdown(rows))
    create_table_artifact(key="nightly", table=rows, description="What the night brought")


def folder(workspace: Path) -> Path:
    """Return the folder of the nights' reports, one file per night, named by the time it ended."""
    return workspace / "reports"


def night_markdown(rows: list[dict[str, str]]) -> str:
    """Return the night's rows as a table; see `flows.nightly.nightly` for their fields."""
    if not rows:
        return "There are no projects yet.\n"
    lines = [
        f"| {' | '.join(_cell(row[name]) for name in ('project', 'outcome', 'detail'))} |" for row in rows
    ]
    return "\n".join(["| project | outcome | why |", "| --- | --- | --- |", *lines, ""])


def _cell(text: str) -> str:
    """Return a text for a cell of a Markdown table: on one line, and without |, which would split the cell."""
    return printable(text).replace("|", "/")


def key(kind: str, project: str) -> str:
    """Return an artifact's key; Prefect allows only lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{kind} {project}".lower()).strip("-")


def _data_url(sheet: Path) -> str:
    buffer = io.BytesIO()
    with Image.open(sheet, formats=["PNG"]) as full_size:
        small = full_size.convert("RGB")
    small.thumbnail((_EMBEDDED_WIDTH, 4 * _EMBEDDED_WIDTH))
    small.save(buffer, "JPEG", quality=75)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
