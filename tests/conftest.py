"""Common fixtures, and an environment that keeps the tests off the network and the home folder."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bootstrap  # noqa: F401  (imported first: it sets how torch's threads wait, which torch reads at import)

if TYPE_CHECKING:
    from bootstrap.catalog import Catalog
    from bootstrap.models.family import BaseModel
    from bootstrap.project.projects import Project
    from tests.postgres import Postgres

_SCRATCH = Path(tempfile.mkdtemp(prefix="sid-tests-"))
os.environ.update(
    HF_HUB_OFFLINE="1",
    DO_NOT_TRACK="1",
    PREFECT_HOME=str(_SCRATCH / "prefect"),
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    SID_REVIEWER="tester",
)
os.environ.pop("SID_WORKSPACE", None)
os.environ.pop("SID_CATALOG_URL", None)


@pytest.fixture(scope="session")
def papertown() -> "BaseModel":
    """The embedded base model, loaded once."""
    from bootstrap.models import loading, specs

    return loading.hold(specs.find("papertown"))


@pytest.fixture(scope="session")
def small_xl(tmp_path_factory: pytest.TempPathFactory) -> "BaseModel":
    """A small Stable Diffusion XL model with random weights, loaded from a diffusers folder."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    from bootstrap.models import loading, specs
    from bootstrap.models.families import stable_diffusion
    from tests.sd_checkpoint import small_sdxl

    folder = tmp_path_factory.mktemp("small-xl")
    with pytest.MonkeyPatch.context() as patch:
        checkpoint, configs = small_sdxl(folder, stable_diffusion.CONFIGS)
        patch.setattr(stable_diffusion, "CONFIGS", configs)
        single = loading.hold(specs.find(str(checkpoint)))
    StableDiffusionXLPipeline(
        single.vae, *single.text_encoders, *single.tokenizers, single.denoiser,
        EulerDiscreteScheduler.from_config(single.scheduler_config), add_watermarker=False,
    ).save_pretrained(folder / "xl")  # fmt: skip
    return loading.hold(specs.find(str(folder / "xl")))


@pytest.fixture(scope="session")
def originals() -> Path:
    """The folder of Paper Town's bundled originals: NAME.png with NAME.txt."""
    import bootstrap.papertown

    return Path(bootstrap.papertown.__file__).parent / "originals"


@pytest.fixture
def project(tmp_path: Path) -> "Project":
    """A project without any generation; see tests/making.py."""
    from making import make_project

    return make_project(tmp_path)


@pytest.fixture
def catalog(project: "Project") -> Iterator["Catalog"]:
    """The catalog of `project`."""
    from making import open_catalog

    opened = open_catalog(project)
    yield opened
    opened.close()


@pytest.fixture
def published(project: "Project", catalog: "Catalog") -> list[str]:
    """The ids of four candidates of generation 1, up for review."""
    from making import add_published

    return add_published(project, catalog, 1, 4)


@pytest.fixture(scope="session")
def postgres() -> Iterator["Postgres"]:
    """A PostgreSQL server; without one the test is skipped, or fails if `CI` is set."""
    from tests import postgres

    try:
        with postgres.running() as server:
            yield server
    except postgres.PostgresMissingError as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty catalog, which `project` uses too; each test runs with SQLite and with PostgreSQL."""
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    monkeypatch.setenv("SID_CATALOG_URL", url)
    return url
