"""Workspaces with something to review."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import populate
from starlette.applications import Starlette
from starlette.testclient import TestClient

from bootstrap.project.projects import Project
from review_app import routes


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without a generation, in the workspace that the app would show."""
    monkeypatch.setenv("SID_WORKSPACE", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return populate.make_project(tmp_path)


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Ask the app's own routes, without Streamlit and its guard."""
    with TestClient(Starlette(routes=routes.routes())) as client:
        yield client
