"""`sid show` and `sid redraw`: from a picture's own file to its parameters, and to the same picture."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from making import scene
from making import shot as made_shot
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file
from typer.testing import CliRunner

from bootstrap.cli import main
from bootstrap.drawing import engine, infotext, networks, redraw
from bootstrap.drawing.redraw import Changes
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.lora import kohya
from bootstrap.models.family import BaseModel
from bootstrap.planning.extra_networks import Shelf
from bootstrap.project.projects import Workspace
from bootstrap.shots import LoraUse, Mask, PictureUse, Shot, Start
from tests.lora.test_merge import random_lora

ID = "ab" * 32
OWN = LoraUse("anna-g01-000002", ID, 2, 0.8)


@pytest.fixture(scope="module")
def workspace(papertown: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with two snapshots of a project, a LoRA file and an embedding."""
    folder = tmp_path_factory.mktemp("redraw")
    training = folder / "projects" / "anna" / "generation-01" / f"training-{ID[:8]}"
    for epoch in (2, 4):
        lora = random_lora(papertown, epoch)
        kohya.write(training / f"anna-g01-{epoch:06d}.safetensors", lora.modules, lora.metadata)
    ink = random_lora(papertown, 9)
    kohya.write(folder / "loras" / "ink, wet.safetensors", ink.modules, ink.metadata)
    (folder / "embeddings").mkdir()
    width = papertown.text_encoders[0].config.hidden_size
    save_file({"emb_params": torch.ones(2, width) * 0.1}, folder / "embeddings" / "zzbad.safetensors")
    return Workspace(folder)


@pytest.fixture(scope="module")
def drawn(workspace: Workspace, papertown: BaseModel) -> Path:
    """A picture with a snapshot, a LoRA from its prompt, an embedding, and noise on the way."""
    shelf = Shelf((workspace.folder,))
    shot = made_shot(
        11, "woman, (red apple:1.2)\nwindow, “Ü” <lora:ink, wet:0.4:0.3>", negative_prompt="zzbad, a: b",
        sampler="DPM++ 2M SDE Karras", steps=4, width=64, height=96, loras=(OWN,), base_model_hash=papertown.hash,
    )  # fmt: skip
    [shot] = networks.with_networks(papertown, shelf, [shot])
    snapshot = next(workspace.folder.rglob("anna-g01-000002.safetensors"))
    files = {OWN: kohya.read(snapshot), **networks.open_files(shelf, [shot])}
    [[drawing]] = engine.draw_batches(papertown, [shot], files, 1)
    hashes = {OWN.name: kohya.model_hash(snapshot), "ink, wet": kohya.model_hash(shelf.lora("ink, wet"))}
    path = workspace.folder / "drawn.png"
    infotext.save_png(drawing.picture, path, shot, infotext.write(shot, "papertown", hashes))
    return path


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=np.int16)


def with_infotext_alone(path: Path, **changes: str) -> Path:
    """The same picture as another tool would have written it."""
    text = infotext.text_of(path)
    for old, new in changes.items():
        text = text.replace(old.replace("_", " "), new)
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("parameters", text)
    alone = path.with_name(f"alone-{abs(hash(text))}.png")
    with Image.open(path) as picture:
        picture.save(alone, pnginfo=chunks)
    return alone


def test_a_picture_is_the_same_from_its_shot_and_from_its_infotext_alone(
    workspace: Workspace, drawn: Path
) -> None:
    again, shot, text = redraw.redraw(workspace, drawn, Changes(), None)
    assert shot == infotext.shot_of(drawn)
    assert text == infotext.text_of(drawn)
    assert np.abs(pixels(again) - pixels(Image.open(drawn))).max() <= 2
    alone = with_infotext_alone(drawn)
    assert infotext.shot_of(alone) is None
    from_infotext, its_shot, _ = redraw.redraw(workspace, alone, Changes(), None)
    assert np.abs(pixels(from_infotext) - pixels(again)).max() <= 2
    assert [use.strengths for use in its_shot.loras] == [(0.3, 0.4), (0.8, 0.8)]


def test_a1111s_older_and_newer_spelling_draw_the_same(workspace: Workspace, drawn: Path) -> None:
    newer = {"DPM++_2M_SDE_Karras": "DPM++ 2M SDE, Schedule type: Karras", "Version:_sid": "Version: v1.9.4"}
    paths = [
        with_infotext_alone(drawn, **changes) for changes in ({"Version:_sid": "Version: v1.8.0"}, newer)
    ]
    pictures = [pixels(redraw.redraw(workspace, path, Changes(), None)[0]) for path in paths]
    assert np.array_equal(*pictures)


def saved(workspace: Workspace, base: BaseModel, shot: Shot, pictures: dict[str, Image.Image]) -> Path:
    """Draw a shot with the LoRA OWN, and save it as a file."""
    snapshot = next(workspace.folder.rglob("anna-g01-000002.safetensors"))
    loras = {use: kohya.read(snapshot) for each in shot.passes for use in each.loras}
    [[drawing]] = engine.draw_batches(base, [shot], loras, 1, pictures)
    text = infotext.write(shot, "papertown", {OWN.name: kohya.model_hash(snapshot)})
    infotext.save_png(drawing.picture, workspace.folder / f"{shot.id}.png", shot, text)
    return workspace.folder / f"{shot.id}.png"


def test_hires_is_the_same_from_its_shot_and_from_its_infotext_alone(
    workspace: Workspace, papertown: BaseModel
) -> None:
    values = {"loras": (OWN,), "base_model_hash": papertown.hash, "steps": 4, "height": 96}
    first = made_shot(3, "[woman:robot:1.5], red apple", width=64, **values)
    for width, height, cfg_scale in (
        (96, 144, 1.5),
        (96, 136, first.cfg_scale),
    ):  # in the first pass's proportions or not
        second = dataclasses.replace(
            first, width=width, height=height, steps=5, cfg_scale=cfg_scale, start=Start(0.6, shot=first)
        )
        path = saved(workspace, papertown, second, {})
        before = pixels(Image.open(path))
        again, shot, _ = redraw.redraw(workspace, path, Changes(), None)
        assert shot == second
        assert np.abs(pixels(again) - before).max() <= 2
        alone, _, _ = redraw.redraw(workspace, with_infotext_alone(path), Changes(), None)
        assert np.abs(pixels(alone) - before).max() <= 2
    changed, shot, _ = redraw.redraw(workspace, path, Changes(strength=0.1, seed=9), None)
    assert [(each.strength, each.seed) for each in shot.passes] == [(0.1, 9), (0.1, 9)]
    assert np.abs(pixels(changed) - before).max() > 3


def test_an_inpainted_picture_is_the_same_while_the_picture_that_it_started_from_exists(
    workspace: Workspace, papertown: BaseModel
) -> None:
    original = workspace.folder / "projects" / "anna" / "original.png"
    (original.parent / "project.toml").touch()
    scene(1).resize((64, 64)).save(original)
    use = PictureUse("original.png", sha256_of_file(original))
    values = {"loras": (OWN,), "base_model_hash": papertown.hash, "steps": 4, "width": 64, "height": 64}
    mask = Mask(2, box=(8, 8, 40, 40))
    first = made_shot(3, "red apple", start=Start(0.8, picture=use, mask=mask), **values)
    second = dataclasses.replace(first, seed=4, start=Start(0.7, shot=first, mask=mask))
    path = saved(workspace, papertown, second, {use.sha256: Image.open(original)})
    again, shot, _ = redraw.redraw(workspace, path, Changes(), None)
    assert shot == second
    assert np.abs(pixels(again) - pixels(Image.open(path))).max() <= 2
    with pytest.raises(UserError, match="its infotext does not name it"):
        redraw.redraw(workspace, with_infotext_alone(path), Changes(), None)
    original.unlink()
    with pytest.raises(UserError, match=r"drawn from original\.png, which is missing from the workspace"):
        redraw.redraw(workspace, path, Changes(), None)


def test_strength_seed_and_snapshot_change_it(workspace: Workspace, drawn: Path) -> None:
    before = pixels(Image.open(drawn))
    variants = [Changes(strength=0.2), Changes(seed=12), Changes(snapshot=4)]
    results = [redraw.redraw(workspace, drawn, changes, None) for changes in variants]
    assert [
        (shot.strength, shot.seed, shot.snapshot, shot.loras[0].name) for _, shot, _ in results
    ] == [
        (0.2, 11, 2, "anna-g01-000002"), (0.8, 12, 2, "anna-g01-000002"), (0.8, 11, 4, "anna-g01-000004"),
    ]  # fmt: skip
    assert all(np.abs(pixels(picture) - before).max() > 3 for picture, _, _ in results)


def test_what_is_missing_is_reported_in_one_line(workspace: Workspace, drawn: Path, tmp_path: Path) -> None:
    empty = Workspace(tmp_path)
    plain, text, damaged = tmp_path / "plain.png", tmp_path / "text.png", tmp_path / "damaged.png"
    Image.new("RGB", (64, 64)).save(plain)
    text.write_text("no picture")
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("sid", '{"prompt": 1}')
    Image.new("RGB", (64, 64)).save(damaged, pnginfo=chunks)
    shot = infotext.shot_of(drawn)
    foreign = tmp_path / "foreign.png"
    infotext.save_png(
        Image.new("RGB", (64, 64)),
        foreign,
        dataclasses.replace(shot, base_model_hash="0" * 64, loras=(), embeddings=()),
        "",
    )
    for where, path, changes, problem in [
        (workspace, tmp_path / "none.png", Changes(), "no such file"),
        (workspace, text, Changes(), "not a picture"),
        (workspace, plain, Changes(), "no shot of sid and no text of another tool"),
        (workspace, damaged, Changes(), "another release"),
        (empty, drawn, Changes(), r"LoRA anna-g01-000002: no file with the hash"),
        (workspace, drawn, Changes(snapshot=9), r"no such snapshot .*\[2, 4\]"),
        (workspace, foreign, Changes(), "--base"),
        (workspace, foreign, Changes(strength=0.5), "without a LoRA"),
        (workspace, with_infotext_alone(drawn, **{"DPM++_2M_SDE_Karras": "Eulr"}), Changes(), "did you mean Euler"),
        (workspace, with_infotext_alone(drawn, **{"Seed:": "Sad:"}), Changes(), "does not have 'Seed'"),
        (workspace, with_infotext_alone(drawn, RNG="Hires sampler"), Changes(), "made with 'Hires sampler'"),
        (workspace, with_infotext_alone(drawn, RNG="Denoising strength"), Changes(), "from another picture"),
        (workspace, with_infotext_alone(drawn, RNG="Hires upscale"), Changes(), "enlarged with 'Latent'"),
    ]:  # fmt: skip
        with pytest.raises(UserError, match=problem) as raised:
            redraw.redraw(where, path, changes, None)
        assert "\n" not in str(raised.value)


def test_show_prints_what_a_picture_was_drawn_with(drawn: Path, workspace: Workspace) -> None:
    run = CliRunner().invoke(main.app, ["--workspace", str(workspace.folder), "show", str(drawn)])
    assert run.exit_code == 0, run.output
    assert f"shot: {infotext.shot_of(drawn).id}\nprompt: woman, (red apple:1.2)\\nwindow" in run.output
    assert "LoRA ink, wet: strength 0.3, of the text encoder 0.4" in run.output
    assert "Sampler: DPM++ 2M SDE Karras" in run.output
    as_json = CliRunner().invoke(main.app, ["show", "--json", str(drawn)])
    assert Shot.from_dict(json.loads(as_json.output)) == infotext.shot_of(drawn)


def test_infotext_in_a_jpeg_is_read(tmp_path: Path) -> None:
    text = "woman, Ü\nNegative prompt: bad\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"
    picture = Image.new("RGB", (64, 64))
    exif = picture.getexif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(jpeg.getvalue())
    assert infotext.text_of(tmp_path / "a.jpg") == text


def test_the_verb_writes_a_picture_that_can_be_drawn_again(
    drawn: Path, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["--workspace", str(workspace.folder), "redraw", str(drawn)]
    run = CliRunner().invoke(main.app, [*command, "--strength", "0.3"])
    assert run.exit_code == 0, run.output
    [path] = tmp_path.iterdir()
    shot = infotext.shot_of(path)
    assert (path.name, shot.strength) == (f"redrawn-{shot.id}.png", 0.3)
    assert "<lora:anna-g01-000002:0.3>" in infotext.text_of(path)
    for output, problem in ((str(drawn), "the picture itself"), ("a.jpg", "written as PNG")):
        refused = CliRunner().invoke(main.app, [*command, "--output", output])
        assert isinstance(refused.exception, UserError)
        assert problem in str(refused.exception)


@pytest.mark.parametrize(
    ("prompt", "fields", "refusal"),
    [
        ("a", "Steps: 1000000000, Size: 512x512", "Steps: 1000000000, which sid cannot draw"),
        ("a", "Steps: 20, Size: 1000000x1000000", "Size: 1000000x1000000, which sid cannot draw"),
        ("a", "Steps: 20, Size: 4096x4096, Hires upscale: 8, Hires upscaler: Lanczos, Denoising strength: 0.5",
         "32768x32768 is more than"),
        ("a", "Steps: 20, Size: 64x64, Hires upscale: inf, Hires upscaler: Lanczos, Denoising strength: 0.5",
         "Hires upscale: inf, which sid cannot draw"),
        ("(" * 65, "Steps: 20, Size: 64x64", "64 levels deep"),
        ("a AND " * 101, "Steps: 20, Size: 64x64", "100 AND at most"),
    ],
)  # fmt: skip
def test_an_infotext_beyond_the_limits_is_refused_before_a_model_is_loaded(
    tmp_path: Path, prompt: str, fields: str, refusal: str
) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", f"{prompt}\nSampler: Euler, CFG scale: 7, Seed: 1, {fields}")
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png", pnginfo=chunks)
    with pytest.raises(UserError, match=refusal):
        redraw.redraw(Workspace(tmp_path), tmp_path / "a.png", Changes(), None)
