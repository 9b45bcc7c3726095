"""Pictures from elsewhere become candidates: captions, origins, resuming, and what is refused."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from making import make_project, open_catalog
from PIL import Image, PngImagePlugin

from bootstrap.catalog import candidates, generations, verdicts
from bootstrap.catalog.states import GenerationState, Verdict
from bootstrap.curation import scoring
from bootstrap.dataset import exporting, growth
from bootstrap.drawing import infotext
from bootstrap.errors import UserError
from bootstrap.loop import importing
from bootstrap.progress import Progress
from bootstrap.project import editing
from bootstrap.project.projects import Project
from tests.sid_command import in_this_process

INFOTEXT = """masterpiece, (woman:1.2), red hat <lora:other:0.7>
Negative prompt: blurry
Steps: 28, Sampler: Euler a, Schedule type: Karras, CFG scale: 5.5, Seed: 4242, Size: 96x64, Model: someMix, \
Version: v1.10.1"""


def picture(number: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Return a picture that resembles no other number's."""
    pixels = np.random.default_rng(number).integers(0, 255, (5, 7, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path / "work")
    editing.set_values(made, ["curation.embedder=none", "curation.hide_flawed=false"])
    return made.workspace.project(made.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as kohya's trainers read it, with a picture of A1111's and one without any text."""
    inside = tmp_path / "dataset" / "10_anna woman"
    inside.mkdir(parents=True)
    picture(1).save(inside / "a.jpg", quality=95)
    (inside / "a.txt").write_text("anna, blue dress, outdoors\n")
    picture(2).save(inside / "b.webp", quality=95)
    (inside / "b.Caption").write_text("anna, smile (happy)")
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", INFOTEXT)
    picture(3).save(inside / "c.png", pnginfo=chunks)
    picture(4).save(inside / "d.png")
    (inside / "notes.md").write_text("no picture")
    return tmp_path / "dataset"


def test_a_dataset_of_another_trainer_becomes_candidates_with_captions_and_origins(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "open_tagger_of", lambda project: None)
    catalog = open_catalog(project)
    result = importing.import_pictures(project, catalog, [folder], "CC BY 4.0")
    assert (result.generation, len(result.new), result.refused, result.known) == (1, 4, [], 0)
    assert generations.state_of(catalog, project.name, 1) is GenerationState.PUBLISHED
    found = {candidate.shot.imported.file: candidate for candidate in candidates.candidates(catalog, project.name)
             if candidate.shot.imported}  # fmt: skip
    assert {name: candidate.caption for name, candidate in found.items()} == {
        "a.jpg": "anna, blue dress, outdoors",
        "b.webp": "anna, smile (happy)",
        "c.png": "masterpiece, woman, red hat",
        "d.png": ", ".join(project.settings.project.tags),
    }
    assert result.without_caption == 1
    drawn = found["c.png"].shot
    assert (drawn.seed, drawn.steps, drawn.sampler, drawn.cfg_scale) == (4242, 28, "Euler a", 5.5)
    assert drawn.imported is not None
    assert (drawn.imported.tool, drawn.imported.model, drawn.imported.note) == (
        "AUTOMATIC1111",
        "someMix",
        "CC BY 4.0",
    )
    assert infotext.text_of(project.folder / found["c.png"].path) == INFOTEXT
    # The file alone restores the candidate.
    assert infotext.candidate_shot(project.folder / found["c.png"].path) == drawn

    verdicts.decide(catalog, project.name, [found["a.jpg"].id, found["c.png"].id], Verdict.ACCEPT, "tester")
    assert growth.grow(project, catalog).added == 2
    target = project.folder / "exported"
    exporting.export(project, catalog, "kohya", target)
    origins = json.loads((target / exporting.ORIGINS).read_text())
    assert {(origin["file"], origin["note"]) for origin in origins} == {
        ("a.jpg", "CC BY 4.0"),
        ("c.png", "CC BY 4.0"),
    }
    for origin in origins:
        [exported] = target.glob(f"*/{origin['file_name']}")
        assert exported.with_suffix(".txt").read_text().strip() == found[origin["file"]].caption
    catalog.close()


def test_a_picture_without_any_text_gets_the_tags_that_the_tagger_sees(
    project: Project, folder: Path, originals: Path
) -> None:
    catalog = open_catalog(project)
    [new] = importing.import_pictures(project, catalog, [originals / "crown.png"]).new
    seen = candidates.candidate(catalog, project.name, new).caption
    assert seen == (originals / "crown.txt").read_text().strip()
    catalog.close()


def test_what_is_there_already_is_passed_over_whatever_its_name(
    project: Project, folder: Path, tmp_path: Path
) -> None:
    catalog = open_catalog(project)
    importing.import_pictures(project, catalog, [folder / "10_anna woman" / "a.jpg"])
    copy = tmp_path / "other.jpg"
    copy.write_bytes((folder / "10_anna woman" / "a.jpg").read_bytes())
    result = importing.import_pictures(project, catalog, [copy, folder])
    assert (result.known, len(result.new)) == (2, 3)
    picture(1).rotate(0).save(tmp_path / "again.jpg", quality=60)  # the same picture, recompressed
    again = importing.import_pictures(project, catalog, [tmp_path / "again.jpg"])
    assert (len(again.new), again.duplicates) == (1, 1)
    catalog.close()


def test_an_archive_is_read_and_what_is_broken_is_named(
    project: Project, folder: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted((folder / "10_anna woman").iterdir()):
            packed.write(path, f"set/{path.name}")
        packed.writestr("set/broken.png", b"\x89PNG\r\n\x1a\n and nothing else")
        packed.writestr("__MACOSX/set/._a.jpg", b"resource fork")
        packed.writestr("set/e.jpg", (folder / "10_anna woman" / "a.jpg").read_bytes())
    catalog = open_catalog(project)
    result = importing.import_pictures(project, catalog, [archive])
    assert (len(result.new), result.known) == (4, 1)
    [refused] = result.refused
    assert "broken.png" in refused
    captions = {candidate.caption for candidate in candidates.candidates(catalog, project.name)}
    assert "anna, blue dress, outdoors" in captions
    assert not list(project.folder.glob("import*"))
    catalog.close()


def test_an_interrupted_import_goes_on(project: Project, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.done == 20:
            raise StoppedError

    source = tmp_path / "many"
    source.mkdir()
    for number in range(24):
        picture(number + 100).save(source / f"{number:02d}.png")
    catalog = open_catalog(project)
    with pytest.raises(StoppedError):
        importing.import_pictures(project, catalog, [source], report=stop)
    assert len(candidates.candidates(catalog, project.name, state=None)) == 16
    result = importing.import_pictures(project, catalog, [source])
    assert (result.known, len(result.new)) == (16, 8)
    assert len(candidates.candidates(catalog, project.name)) == 24
    catalog.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path / "nowhere", "there is no such file or folder"),
        (lambda path: path, "it holds no picture"),
        (lambda path: _written(path / "a.zip", b"PK no archive"), "the archive cannot be read"),
        (lambda path: _written(path / "a.png", b"no picture"), "none of 1 pictures can be read"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_line(
    project: Project,
    tmp_path: Path,
    make: Callable[[Path], Path],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inside = tmp_path / "given"
    inside.mkdir()
    run = in_this_process(monkeypatch, capsys)
    code, _, errors = run(
        "--workspace", str(project.workspace.folder), "import", project.name, str(make(inside))
    )
    assert (code, len(errors.splitlines())) == (2, 1)
    assert message in errors


def test_an_imported_picture_is_not_drawn_again(project: Project, folder: Path) -> None:
    from bootstrap.loop import mending

    catalog = open_catalog(project)
    [new] = importing.import_pictures(project, catalog, [folder / "10_anna woman" / "d.png"]).new
    with pytest.raises(UserError, match=r"it was imported from d\.png"):
        mending.draw_again(project, catalog, new, mending.Redraw(seed=3))
    catalog.close()


def test_what_an_infotext_says_and_sid_does_not_have_is_named(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(
        "parameters", f"{INFOTEXT}, ControlNet 0: x, ENSD: 31337".replace(":0.7>", ":0.7:lbw=OUTD>")
    )
    picture(7).save(folder / "e.png", pnginfo=chunks)
    run = in_this_process(monkeypatch, capsys)
    code, said, _ = run(
        "--workspace", str(project.workspace.folder), "import", project.name, str(folder / "e.png")
    )
    assert code == 0
    assert (
        "their infotext also says what sid does not honour: ControlNet 0, ENSD, lbw=OUTD of <lora:other>"
        in said.splitlines()
    )
    catalog = open_catalog(project)
    [candidate] = candidates.candidates(catalog, project.name)
    code, said, _ = run("show", str(project.folder / candidate.path))
    assert (
        "not honoured by sid, so a redrawn picture differs: ControlNet 0, ENSD, lbw=OUTD of <lora:other>"
        in said
    )
    assert "older rule" not in said
    assert not candidates.began_by_older_rule(catalog, project.name, 1)
    catalog.close()


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_what_is_not_used_of_a_picture_is_told(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = tmp_path / "wide.webp"
    picture(6, (128, 96)).save(wide, save_all=True, append_images=[picture(7, (128, 96))])
    sid = in_this_process(monkeypatch, capsys)
    code, out, err = sid(
        "--workspace", str(project.workspace.folder), "import", project.name, str(wide), "--note", "mine"
    )
    assert (code, err) == (0, "")
    assert "of 1 of them only the first of several frames or pages was taken" in out
    assert "training cuts over 15% off 1 picture, most off wide.webp: 20% (128x96, trained at 160x96)" in out
