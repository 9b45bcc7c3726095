"""Regularization through a generation's preparation and training: from a folder, or drawn by the base model."""

import re
from pathlib import Path

import pytest
from making import make_project, open_catalog, scene
from PIL import Image

from bootstrap.dataset import class_pictures
from bootstrap.errors import UserError
from bootstrap.loop import generation
from bootstrap.lora import kohya
from bootstrap.models import specs
from bootstrap.progress import Progress
from bootstrap.project.projects import Project
from bootstrap.training.examples import examples_of


def with_training(folder: Path, lines: str) -> Project:
    """A project with a short training and these settings besides."""
    made = make_project(folder)
    short = "repeats = 2\nepochs = 1\ntrain_batch_size = 1\nnetwork_dim = 4\n"
    text = re.sub(
        r"(?s)\[training\].*\[drawing\]", f"[training]\n{short}{lines}\n[drawing]", made.toml.read_text()
    )
    text = re.sub(r"(?m)^steps = .*", "steps = 2", text)
    made.toml.write_text(
        re.sub(r"(?s)\[\[recipe\]\].*", "", text) + '[[recipe]]\nkind = "vary"\nsnapshot = 1\n'
    )
    return made.workspace.project(made.name)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('reg_data_dir = "nowhere"', "training.reg_data_dir .*nowhere: there is no such folder"),
        ('reg_data_dir = "empty"', "it has no picture"),
        (
            'reg_data_dir = "uncaptioned"',
            "it has no caption; write one to 0.txt, or set training.class_tokens",
        ),
        ('reg_data_dir = "unreadable"\nclass_tokens = "woman"', "0.png"),
        ('optimizer = "AdamW8bit"', "bitsandbytes is not installed|it needs a GPU"),
        ("resolution = 100", "resolution 100 is not a multiple of 8"),
        ("max_train_steps = 0", "max_train_steps"),
        ('optimizer = "Prodigy"\nunet_lr = 1.0\ntext_encoder_lr = 0.5', "finds the rate itself"),
        ("max_token_length = 100", "max_token_length"),
    ],
)
def test_what_cannot_work_is_told_before_anything_starts(tmp_path: Path, lines: str, message: str) -> None:
    made = with_training(tmp_path, lines)
    for name in ("empty", "uncaptioned", "unreadable"):
        (made.folder / name).mkdir()
    scene(1).save(made.folder / "uncaptioned" / "0.png")
    (made.folder / "unreadable" / "0.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=message) as refused:
        generation.prepare(made, open_catalog(made))
    assert "\n" not in str(refused.value)
    assert not list(made.folder.glob("generation-*"))


def with_class_pictures(folder: Path, lines: str = "") -> tuple[Project, Path]:
    """A project whose class pictures lie in `women`, and that folder with one picture, p.png."""
    made = with_training(folder, f'reg_data_dir = "women"\n{lines}')
    women = made.folder / "women"
    women.mkdir()
    scene(1, size=32).save(women / "p.png")
    return made, women


@pytest.mark.parametrize(
    ("name", "content", "caption"),
    [
        ("p.txt", b"woman, smile\r\n\r\n", "woman, smile"),
        ("p.TXT", b"\xef\xbb\xbfwoman, smile\n", "woman, smile"),
        ("p.caption", "woman, caf\u00e9".encode("utf-16"), "woman, caf\u00e9"),
        ("p.Caption", rb"woman, zoro \(one piece\)", "woman, zoro (one piece)"),
        ("p.txt", "woman\uff0csmile".encode(), "woman\uff0csmile"),
        ("P.txt", b"man", "class"),  # of another picture
    ],
)
def test_captions_of_other_tools_are_read(tmp_path: Path, name: str, content: bytes, caption: str) -> None:
    made, women = with_class_pictures(tmp_path, 'class_tokens = "class"')
    (women / name).write_bytes(content)
    assert [picture.caption for picture in class_pictures.in_folder(made)] == [caption]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"p.txt": "woman, smile\nwoman, hat\n"}, r"p\.txt: it has 2 lines"),
        ({"p.txt": b"caf\xe9"}, r"p\.txt: it is not UTF-8"),
        (
            {"p.txt": "woman, (smile:1.2)"},
            r"p\.txt: '\(smile:1\.2\)' has prompt syntax.* write 'woman, smile'",
        ),
        ({"p.txt": "woman, <lora:a:1>"}, r"p\.txt: '<lora:a:1>' has prompt syntax"),
        ({"p.txt": "woman", "p.caption": "hat"}, r"2 caption files, p\.caption and p\.txt; leave one"),
        ({"p.CAPTION": " \n"}, r"no caption; write one to p\.CAPTION"),
    ],
)
def test_captions_that_would_be_trained_as_other_words_are_refused(
    tmp_path: Path, files: dict[str, str | bytes], problem: str
) -> None:
    made, women = with_class_pictures(tmp_path)
    for name, content in files.items():
        (women / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=problem):
        class_pictures.check(made)


def test_class_tokens_are_drawn_as_a_prompt_and_trained_as_words(tmp_path: Path) -> None:
    made, _ = with_class_pictures(tmp_path, 'class_tokens = "(woman:1.2), [smile]"')
    assert [picture.caption for picture in class_pictures.in_folder(made)] == ["woman, smile"]


def train(made: Project) -> tuple[list[Progress], dict[str, str]]:
    catalog, reports = open_catalog(made), list[Progress]()
    begun = generation.prepare(made, catalog)
    generation.train(begun, reports.append)
    training = begun.training()
    assert training is not None and training.finished
    assert [picture["seen"] for picture in training.dataset] == [2]
    return reports, kohya.read(made.folder / training.snapshots[-1].path).metadata


def test_pictures_of_a_folder_are_shown_in_turn(tmp_path: Path) -> None:
    made = with_training(tmp_path, 'reg_data_dir = "../../women"\nclass_tokens = "woman"')
    folder = made.folder / ".." / ".." / "women"
    folder.mkdir()
    for number, size in enumerate(((128, 128), (192, 96))):
        scene(number + 1).resize(size).save(folder / f"{number}.png")
    (folder / "1.txt").write_text("woman, smile")
    reports, metadata = train(made)
    assert "as many steps on 2 regularization pictures; buckets 128x128, 192x96" in reports[0].note
    assert (reports[-1].done, reports[-1].total) == (4, 4)
    assert metadata["ss_num_reg_images"] == "2"
    assert (metadata["ss_steps"], metadata["ss_max_train_steps"]) == ("4", "4")


def test_a_picture_that_exif_turns_trains_at_its_upright_size(tmp_path: Path) -> None:
    made = with_training(tmp_path, 'reg_data_dir = "women"\nclass_tokens = "woman"')
    (made.folder / "women").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(1).resize((256, 128)).save(made.folder / "women" / "photo.jpg", exif=exif)
    geometry = specs.geometry(made.base_model)
    assert geometry is not None
    *_, photo = examples_of(made, open_catalog(made), geometry, list(class_pictures.in_folder(made)))
    assert photo.size == (96, 192)


def test_pictures_that_lose_much_or_have_frames_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = with_training(tmp_path, 'reg_data_dir = "women"\nclass_tokens = "woman"')
    (made.folder / "women").mkdir()
    scene(1).save(made.folder / "women" / "a.png")
    generation.prepare(made, open_catalog(made))
    assert not caplog.messages
    for name, size in (("b.png", (128, 96)), ("c.png", (96, 128))):
        scene(1).resize(size).save(made.folder / "women" / name)
    scene(2).save(made.folder / "women" / "d.webp", save_all=True, append_images=[scene(3)])
    generation.prepare(made, open_catalog(made))
    cut, frames = caplog.messages
    assert "training cuts over 15% off 2 pictures, most off c.png: 20% (96x128, trained at 96x160)" in cut
    assert "d.webp has several frames or pages; the first one is used" in frames


def test_the_base_model_draws_its_class_once(tmp_path: Path) -> None:
    made = with_training(tmp_path, 'class_tokens = "woman"\nnum_class_images = 3')
    reports, metadata = train(made)
    drawn = sorted((made.folder / "regularization").glob("*.png"))
    assert [report.done for report in reports if report.stage == "regularization"] == [3]
    assert len(drawn) == 3 and metadata["ss_num_reg_images"] == "3"
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.size == (128, 128)
    written = [path.stat().st_mtime_ns for path in drawn]
    made.toml.write_text(made.toml.read_text().replace("num_class_images = 3", "num_class_images = 4"))
    reports, _ = train(made.workspace.project(made.name))
    assert [report.done for report in reports if report.stage == "regularization"] == [1]
    assert [path.stat().st_mtime_ns for path in drawn] == written


def test_sample_prompts_are_drawn_with_each_snapshot(tmp_path: Path) -> None:
    made = with_training(tmp_path, 'sample_prompts = ["woman, red apple # no <lora:ink>", "robot"]')
    reports, _ = train(made)
    assert [report.done for report in reports if report.stage == "samples"][-1] == 2
    (sheet,) = made.generation_folder(1).glob("training-*/samples.png")
    with Image.open(sheet) as picture:
        assert picture.size == (2 * (128 + 8) + 8, 30 + 128 + 2 * 14 + 8 + 8)
    written = sheet.stat().st_mtime_ns
    reports, _ = train(made)
    assert not [report for report in reports if report.stage == "samples"]
    assert sheet.stat().st_mtime_ns == written
