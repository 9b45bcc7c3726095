"""Running a verb of `sid` in its own process, because it loads a model and no page may wait for that."""

import os
import subprocess
import sys

from bootstrap.project.projects import Workspace


def run_verb(workspace: Workspace, arguments: list[str]) -> tuple[str, str]:
    """Run a verb to its end; return its output and why it failed, empty if it did not."""
    command = [
        sys.executable, "-c", "from bootstrap.cli.main import main; main()", "--workspace",
        str(workspace.folder), *arguments
    ]  # fmt: skip
    completed = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=dict(os.environ),
        start_new_session=True,
    )  # fmt: skip
    if completed.returncode == 0:
        return completed.stdout, ""
    lines = completed.stderr.strip().splitlines() or completed.stdout.strip().splitlines()
    reason = lines[-1].strip().removeprefix("sid: ") if lines else "it wrote nothing"
    code = completed.returncode
    return completed.stdout, reason if code == 2 else f"it ended with exit code {code}: {reason}"
