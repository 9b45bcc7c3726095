"""Running a verb of `sid` in a process of its own, for what loads a model: a page must not wait for it."""

import os
import subprocess
import sys

from bootstrap.project.projects import Workspace


def run(workspace: Workspace, arguments: list[str]) -> tuple[str, str]:
    """Run a verb to its end, and return what it wrote and, in words, why it failed; empty when it did not."""
    command = [
        sys.executable, "-c", "from bootstrap.cli.main import main; main()", "--workspace",
        str(workspace.folder), *arguments
    ]  # fmt: skip
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=dict(os.environ),
        start_new_session=True,
    )  # fmt: skip
    if ran.returncode == 0:
        return ran.stdout, ""
    lines = ran.stderr.strip().splitlines() or ran.stdout.strip().splitlines()
    said = lines[-1].strip().removeprefix("sid: ") if lines else "it wrote nothing"
    return ran.stdout, said if ran.returncode == 2 else f"it ended with exit code {ran.returncode}: {said}"
