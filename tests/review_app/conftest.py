"""Workspaces with something to review."""

from pathlib import Path

import pytest
from browser import populate

from bootstrap.project.projects import Project


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without a generation, in the workspace that the app would show."""
    monkeypatch.setenv("SID_WORKSPACE", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return populate.make_project(tmp_path)
