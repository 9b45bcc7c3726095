"""The Python API, for scripts that turn a picture into a dataset or read LoRA files. See docs/python.md.

    from bootstrap import api

    workspace = api.open_workspace("sid-workspace")
    project = api.new_project(workspace, "anna", "anna.png", "woman, red apple, teal wall")
    api.run_generation(project)
    for candidate in api.candidates(project):
        print(candidate.id, candidate.caption, candidate.path)

torch is loaded only when it is needed. For a mistake that the user can correct (a wrong setting, a missing file, an
unknown name) all functions raise `bootstrap.errors.UserError`, whose message is one line.
"""

from bootstrap.api.datasets import candidates, decide, export, grow
from bootstrap.api.loras import convert_lora, read_lora
from bootstrap.api.projects import new_project, open_project, open_workspace
from bootstrap.api.stations import run_generation, run_station

__all__ = [
    "candidates", "convert_lora", "decide", "export", "grow", "new_project", "open_project", "open_workspace",
    "read_lora", "run_generation", "run_station",
]  # fmt: skip
