"""The adviser in the loop: after training, once, only if a recipe needs it; and `sid advise`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rows
from PIL import Image

from bootstrap.adviser import measuring
from bootstrap.catalog import Catalog, advices, trainings
from bootstrap.catalog.advices import Advice
from bootstrap.catalog.candidates import candidates
from bootstrap.cli import main
from bootstrap.loop import generation
from bootstrap.models.family import BaseModel
from bootstrap.progress import Progress
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from tests.drawing.small import small_trained_project


def advice_on(project: Project, catalog: Catalog) -> Advice | None:
    training = trainings.of_generation(catalog, project.name, 1)
    assert training is not None
    return advices.of_training(catalog, project.name, training.training_id)


def forget(catalog: Catalog) -> None:
    rows.change(catalog, "training", variation=None, replication=None)
    rows.change(catalog, "snapshot", closeness=None, freedom=None, elimination=None)


def plots(project: Project) -> list[Path]:
    return list(project.folder.glob("generation-01/training-*/snapshots.png"))


def never(*_: object) -> Iterator[None]:
    raise AssertionError("measured again")


@pytest.fixture(scope="module")
def trained(papertown: BaseModel, originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with two snapshots; no recipe needs the adviser yet."""
    return small_trained_project(tmp_path_factory.mktemp("advise"), originals)


@pytest.fixture(scope="module")
def catalog(trained: Project) -> Iterator[Catalog]:
    opened = Catalog(trained.workspace.catalog_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def asking(trained: Project, catalog: Catalog) -> Project:
    """Return the same project, whose recipe now says "auto"."""
    assert advice_on(trained, catalog) is None  # no recipe needs it: nothing was measured
    assert plots(trained) == []
    text = trained.toml.read_text().replace("[drawing]", "[drawing]\nwidth = 64\nheight = 64")
    trained.toml.write_text(text.replace("snapshot = 2", 'snapshot = "auto"'))
    return trained.workspace.project(trained.name)


@pytest.fixture
def advised(asking: Project, catalog: Catalog) -> Advice:
    generation.train(Generation(asking, catalog, 1))
    advice = advice_on(asking, catalog)
    assert advice is not None
    return advice


def test_it_measures_all_snapshots_after_training_and_plots_them(
    asking: Project, catalog: Catalog, advised: Advice
) -> None:
    assert [measurement.epoch for measurement in advised.measurements] == [1, 2]
    assert 1 <= advised.variation <= advised.replication <= 2
    assert all(
        -1 < measurement.closeness < 1 and -1 < measurement.freedom <= 1.01
        for measurement in advised.measurements
    )
    (path,) = plots(asking)
    with Image.open(path) as plot:
        assert plot.size == (720, 400)


def test_it_measures_once_and_draws_a_lost_plot_again(
    asking: Project, catalog: Catalog, advised: Advice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "measure", never)
    (path,) = plots(asking)
    before = path.read_bytes()
    path.unlink()
    generation.train(Generation(asking, catalog, 1))
    assert path.read_bytes() == before
    assert advice_on(asking, catalog) == advised


def test_interrupted_it_leaves_nothing_and_then_measures_the_same(
    asking: Project, catalog: Catalog, advised: Advice
) -> None:
    forget(catalog)
    reports: list[Progress] = []

    def stop_after_one(progress: Progress) -> None:
        reports.append(progress)
        if progress.stage == "advise" and progress.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generation.train(Generation(asking, catalog, 1), stop_after_one)
    assert [(report.done, report.total) for report in reports if report.stage == "advise"] == [(0, 2), (1, 2)]
    assert advice_on(asking, catalog) is None
    with pytest.raises(RuntimeError, match="not measured"):
        generation.draw(Generation(asking, catalog, 1))
    generation.train(Generation(asking, catalog, 1))
    again = advice_on(asking, catalog)
    assert again is not None
    for repeated, first in zip(again.measurements, advised.measurements, strict=True):
        assert repeated.closeness == pytest.approx(first.closeness, abs=1e-4)
        assert repeated.freedom == pytest.approx(first.freedom, abs=1e-4)
        assert repeated.elimination == pytest.approx(first.elimination, abs=1e-3)
    assert (again.variation, again.replication) == (advised.variation, advised.replication)


def test_auto_draws_the_shots_that_the_number_would_draw(
    asking: Project, catalog: Catalog, advised: Advice
) -> None:
    generation.draw(Generation(asking, catalog, 1))
    drawn = candidates(catalog, asking.name, state=None)
    assert {candidate.shot.snapshot for candidate in drawn} == {advised.variation}
    text = asking.toml.read_text()
    asking.toml.write_text(text.replace('snapshot = "auto"', f"snapshot = {advised.variation}"))
    reports: list[Progress] = []
    generation.draw(Generation(asking.workspace.project(asking.name), catalog, 1), reports.append)
    asking.toml.write_text(text)
    assert (reports[0].done, reports[0].total) == (len(drawn), len(drawn))  # all of them exist already


@pytest.fixture
def sid(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(project: Project, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sid", "--workspace", str(project.workspace.folder), *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return run


def test_the_verb_prints_the_measurements(asking: Project, advised: Advice, sid) -> None:
    code, out, _ = sid(asking, "advise", asking.name)
    assert code == 0
    lines = out.splitlines()
    for measurement, line in zip(advised.measurements, lines[1:], strict=False):
        assert line.split()[:2] == [str(measurement.epoch), f"{measurement.closeness:.2f}"]
        assert line.split()[-1] in ("early", "trained", "inflexible")
    assert f"to vary: snapshot {advised.variation};" in out
    assert lines[-1] == f"plot: {plots(asking)[0]}"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["badge", "--generation", "7"], "it has no generation 7 yet"),
        (["nobody"], "project 'nobody': not in workspace"),
    ],
)
def test_the_verb_refuses_in_one_line_what_does_not_exist(asking: Project, sid, arguments, problem) -> None:
    code, out, err = sid(asking, "advise", *arguments)
    assert (code, out) == (2, "")
    assert problem in err and err.count("\n") == 1


def test_an_unfinished_training_is_not_measured(asking: Project, catalog: Catalog, sid) -> None:
    forget(catalog)
    (training,) = rows.read(catalog, "training")
    rows.change(catalog, "training", finished_at=None)
    code, _, err = sid(asking, "advise", asking.name)
    rows.change(catalog, "training", finished_at=training.finished_at)
    assert code == 2
    assert "its training has not finished" in err and err.count("\n") == 1
