"""The scenes of the tests that were chosen, begun at once and two at a time: each has one thread."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.golden import scenes

_AT_ONCE = 2


class Runs:
    """Scenes that run in the background."""

    def __init__(self, wanted: set[str], folder: Path) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._facts: dict[str, Future[scenes.Facts]] = {}
        for name, scene in scenes.ALL.items():
            if name in wanted:
                (folder / name).mkdir()
                self._facts[name] = self._pool.submit(scene, folder / name)

    def facts(self, name: str) -> scenes.Facts:
        """What a scene came to; waits for it."""
        return self._facts[name].result()

    def stop(self) -> None:
        """Begin no more, and wait for those that run."""
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The scenes that tests name with the parameter `scene`."""
    chosen = [
        item for item in request.session.items if item.path.parent == Path(__file__).parent and _runs(item)
    ]
    parameters = [getattr(item, "callspec", None) for item in chosen]
    wanted = {one.params["scene"] for one in parameters if one is not None and "scene" in one.params}
    found = Runs(wanted, tmp_path_factory.mktemp("golden"))
    yield found
    found.stop()


def _runs(item: pytest.Item) -> bool:
    """Whether a test is not skipped from the start."""
    return not any(mark.args[0] if mark.args else True for mark in item.iter_markers("skipif"))
