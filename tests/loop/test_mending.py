"""A candidate drawn again or inpainted, with the real engine: the results are up for review."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from making import add_published, make_project, open_catalog
from making import shot as made_shot
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from bootstrap import captions, images
from bootstrap.catalog import Catalog, candidates, trainings, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.catalog.trainings import Snapshot
from bootstrap.cli import main
from bootstrap.dataset import entries, growth
from bootstrap.errors import UserError
from bootstrap.loop import mending
from bootstrap.loop.mending import Inpaint, Redraw
from bootstrap.lora import kohya
from bootstrap.models.family import BaseModel
from bootstrap.project import editing
from bootstrap.project.projects import Project
from bootstrap.shots import LoraUse
from tests.lora.test_merge import random_lora

TRAINING = "ab" * 32
HALF = (0, 0, 64, 128)


@pytest.fixture(scope="module")
def reviewed(papertown: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[str]]:
    """A project with two snapshots, and two candidates of generation 1 that are up for review."""
    made = make_project(tmp_path_factory.mktemp("again"))
    editing.set_values(made, ["curation.embedder=none"])
    made = made.workspace.project(made.name)
    catalog = open_catalog(made)
    shots = [
        made_shot(seed, steps=3, base_model_hash=papertown.hash, loras=(LoraUse("apple-g01-000002", TRAINING, 2, 0.8),))
        for seed in (1, 7)
    ]  # fmt: skip
    ids = add_published(made, catalog, 1, 2, shots)
    trainings.begin(catalog, made.name, 1, TRAINING, {}, [])
    for epoch in (2, 4):
        path = made.generation_folder(1) / f"training-{TRAINING[:8]}" / f"apple-g01-{epoch:06d}.safetensors"
        lora = random_lora(papertown, epoch)
        kohya.write(path, lora.modules, lora.metadata)
        snapshot = Snapshot(TRAINING, epoch, path.relative_to(made.folder), "s" * 64, 0.1)
        trainings.add_snapshot(catalog, made.name, snapshot, 10, [])
    catalog.close()
    return made, ids


def sid(project: Project, *arguments: str) -> str:
    ran = CliRunner().invoke(
        main.app, ["--workspace", str(project.workspace.folder), *arguments], catch_exceptions=False
    )
    assert ran.exit_code == 0, ran.output
    return ran.output


def candidate_of(project: Project, candidate_id: str) -> candidates.Candidate:
    catalog = Catalog(project.workspace.catalog_url)
    candidate = candidates.candidate(catalog, project.name, candidate_id)
    catalog.close()
    return candidate


def test_drawn_again_with_another_strength_and_snapshot(reviewed: tuple[Project, list[str]]) -> None:
    project, (first, _) = reviewed
    order = ["again", "apple", first[:6], "--strength=0.4", "--snapshot=4", "--count=2"]
    output = json.loads(sid(project, *order, "--json"))
    ids = output["candidates"]
    assert output["new"] == 2
    assert sid(project, *order) == f"already drawn, published: {' '.join(ids)}\n"
    drawn = [candidate_of(project, candidate_id) for candidate_id in ids]
    assert [candidate.shot.seed for candidate in drawn] == [1, 2]
    for candidate in drawn:
        assert (candidate.state, candidate.verdict, candidate.generation) == ("published", "undecided", 1)
        shot = candidate.shot
        assert (shot.loras[0].name, shot.snapshot, shot.strength) == ("apple-g01-000004", 4, 0.4)
        assert (project.folder / candidate.thumbnail).is_file()
    assert [line.split()[0] for line in sid(project, "candidates", "apple", "--ranked").splitlines()][
        :2
    ] == ids


def test_a_strength_below_zero_draws_away_from_the_lora(reviewed: tuple[Project, list[str]]) -> None:
    project, (first, _) = reviewed
    output = json.loads(sid(project, "again", "apple", first, "--strength=-2", "--json"))
    [drawn] = output["candidates"]
    assert candidate_of(project, drawn).shot.strength == -2


def test_without_changes_it_is_drawn_with_the_next_seeds(reviewed: tuple[Project, list[str]]) -> None:
    project, (_, second) = reviewed
    catalog = Catalog(project.workspace.catalog_url)
    drawn = mending.draw_again(project, catalog, second, Redraw(count=2))
    assert [candidate_of(project, candidate_id).shot.seed for candidate_id in drawn.ids] == [8, 9]
    catalog.close()


def test_drawn_again_with_another_prompt_and_another_sampling(reviewed: tuple[Project, list[str]]) -> None:
    project, (first, _) = reviewed
    before = candidate_of(project, first).shot
    order = [
        "again", "apple", first, "--prompt=woman,  (blue hat:1.2),, garden # not red", "--negative-prompt=blurry",
        "--cfg-scale=4.5", "--steps=2", "--sampler=Euler a", "--json",
    ]  # fmt: skip
    [drawn] = json.loads(sid(project, *order))["candidates"]
    candidate = candidate_of(project, drawn)
    shot = candidate.shot
    assert (shot.prompt, shot.negative_prompt) == ("woman, (blue hat:1.2), garden", "blurry")
    assert (shot.cfg_scale, shot.steps, shot.sampler, shot.seed) == (4.5, 2, "Euler a", before.seed)
    assert shot.schedule == "Automatic"  # the candidate was made before schedules were a setting
    assert (candidate.caption, shot.loras) == ("woman, blue hat, garden", before.loras)
    assert "mended_from" not in before.to_dict()  # files of other candidates stay byte for byte as they were
    assert shot.mended_from == first and dataclasses.replace(shot, mended_from="").id == shot.id
    order = ["again", "apple", drawn, "--negative-prompt=", "--sampler=Euler", "--schedule=Karras", "--json"]
    [plain] = json.loads(sid(project, *order))["candidates"]
    shot = candidate_of(project, plain).shot
    assert (shot.negative_prompt, shot.sampler, shot.schedule) == ("", "Euler", "Karras")


def test_a_part_of_the_original_is_redrawn_as_a_candidate_was(
    reviewed: tuple[Project, list[str]], tmp_path: Path
) -> None:
    project, (first, _) = reviewed
    with Image.open(project.original) as opened:
        original = opened.convert("RGB")
    left = Image.new("L", original.size)
    left.paste(255, (0, 0, original.width // 2, original.height))
    left.save(tmp_path / "left.png")
    order = ["inpaint", "apple", first, f"--mask={tmp_path / 'left.png'}", "--original", "--json"]
    [whole] = json.loads(sid(project, *order, "--prompt=woman, blue ball"))["candidates"]
    [part] = json.loads(sid(project, *order, "--prompt=ball", "--only-masked-padding=8"))["candidates"]
    drawn = candidate_of(project, whole)
    assert drawn.shot.start is not None and drawn.shot.start.picture is not None
    assert drawn.shot.start.picture.path == project.original.name
    assert (drawn.shot.loras, drawn.shot.steps) == (candidate_of(project, first).shot.loras, 3)
    assert (drawn.caption, drawn.shot.mended_from) == ("woman, blue ball", "")
    assert candidate_of(project, part).caption == captions.join(project.settings.project.tags)
    with Image.open(project.folder / drawn.path) as after:
        width, height = after.size
        fitted = images.fit(original, width, height)
        moved = np.abs(np.asarray(after, np.int16) - np.asarray(fitted, np.int16)).mean(axis=2)
    assert moved[:, width * 5 // 8 :].max() == 0  # beyond the blur of the edge
    assert moved[:, : width * 3 // 8].mean() > 3


def test_only_what_is_painted_over_is_redrawn(reviewed: tuple[Project, list[str]], tmp_path: Path) -> None:
    project, (first, _) = reviewed
    mask = Image.new("L", (128, 128))
    ImageDraw.Draw(mask).rectangle((HALF[0], HALF[1], HALF[2] - 1, HALF[3] - 1), fill=255)
    mask.save(tmp_path / "mask.png")
    output = sid(
        project, "inpaint", "apple", first, f"--mask={tmp_path / 'mask.png'}", "--prompt=woman,  blue ball",
        "--rounds=2", "--denoising-strength=0.9", "--json",
    )  # fmt: skip
    [drawn] = json.loads(output)["candidates"]
    inpainted = candidate_of(project, drawn)
    assert (inpainted.shot.prompt, inpainted.shot.recipe, inpainted.state) == (
        "woman, blue ball",
        "inpaint",
        "published",
    )
    assert [each.mended_from for each in inpainted.shot.passes] == ["", first]
    with (
        Image.open(project.folder / inpainted.path) as after,
        Image.open(project.folder / candidate_of(project, first).path) as before,
    ):
        moved = np.abs(np.asarray(after, np.int16) - np.asarray(before.convert("RGB"), np.int16)).mean(axis=2)
    assert moved[:, 76:].max() == 0  # beyond the blur of the edge
    assert moved[:, :52].mean() > 5


def test_only_masked_draws_the_part_alone_and_keeps_the_candidates_caption(
    reviewed: tuple[Project, list[str]], tmp_path: Path
) -> None:
    project, (first, _) = reviewed
    mask = Image.new("L", (128, 128))
    ImageDraw.Draw(mask).rectangle((40, 40, 71, 71), fill=255)
    mask.save(tmp_path / "mask.png")
    order = ["inpaint", "apple", first, f"--mask={tmp_path / 'mask.png'}", "--prompt=smile"]
    ids = [
        json.loads(sid(project, *order, *more, "--json"))["candidates"][0]
        for more in ([], ["--only-masked-padding=8"], ["--only-masked-padding=9"])
    ]
    whole, part, wider = (candidate_of(project, candidate_id) for candidate_id in ids)
    assert part.shot.start is not None and part.shot.start.mask is not None
    assert part.shot.start.mask.padding == 8 and part.shot.prompt == "smile"
    assert whole.caption == "smile"
    assert part.caption == wider.caption == candidate_of(project, first).caption
    pictures = []
    for candidate in (candidate_of(project, first), whole, part, wider):
        with Image.open(project.folder / candidate.path) as opened:
            pictures.append(np.asarray(opened.convert("RGB"), np.int16))
    before, *after = pictures
    moved = [np.abs(picture - before).mean(axis=2) for picture in after]
    for difference in moved:
        assert difference[40:72, 40:72].mean() > 3
        difference[28:84, 28:84] = 0
        assert difference.max() == 0  # beyond the blur of the edge
    assert np.abs(after[0] - after[1]).max() > 3 and np.abs(after[1] - after[2]).max() > 3

    sid(project, "caption", "apple", part.id, "woman, grin")
    assert "already drawn" in sid(project, *order, "--only-masked-padding=8")
    assert candidate_of(project, part.id).caption == "woman, grin"  # an edited caption stays


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (Redraw(seed=1), "the candidate itself"),
        (Redraw(snapshot=3), r"its training has \[2, 4\]"),
        (Redraw(strength=2.1), "strength 2.1: it must be from -2 to 2"),
        (Redraw(strength=-2.1), "-2 to 2"),
        (Redraw(count=17), "1 to 16"),
        (Redraw(prompt=" , # nothing"), "prompt: it is empty"),
        (Redraw(prompt="woman, <lora:nowhere:1>"), "nowhere"),
        (Redraw(negative_prompt="(" * 1000), "prompt"),
        (Redraw(cfg_scale=0.5), "CFG scale 0.5: it must be from 1 to 30"),
        (Redraw(steps=151), "steps 151: it must be from 1 to 150"),
        (Redraw(sampler="Euler b"), "sampler 'Euler b': unknown"),
        (Redraw(schedule="karas"), "schedule 'karas': unknown"),
        (Redraw(sampler="DPM++ 2M Karras", schedule="Exponential"), "contradicts schedule Exponential"),
        (Redraw(sampler="LCM", steps=140), "LCM: it takes"),
        (Inpaint(Path("small.png"), "woman", of_original=True), "the original .* make them the same size"),
        (Inpaint(Path("no.png"), "woman"), "no such file"),
        (Inpaint(Path("small.png"), "woman"), "make them the same size"),
        (Inpaint(Path("black.png"), "woman"), "no white"),
        (Inpaint(Path("white.png"), " , "), "prompt"),
        (Inpaint(Path("white.png"), "woman", denoising_strength=0), "0.05 to 1"),
        (Inpaint(Path("white.png"), "woman", rounds=9), "1 to 8"),
        (Inpaint(Path("white.png"), "woman", only_masked_padding=257), "0 to 256"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_drawn(
    reviewed: tuple[Project, list[str]], tmp_path: Path, wanted: Redraw | Inpaint, problem: str
) -> None:
    project, (first, _) = reviewed
    Image.new("L", (64, 64), 255).save(tmp_path / "small.png")
    Image.new("L", (128, 128)).save(tmp_path / "black.png")
    Image.new("L", (128, 128), 255).save(tmp_path / "white.png")
    if isinstance(wanted, Inpaint):
        wanted = dataclasses.replace(wanted, mask=tmp_path / wanted.mask)
    catalog = Catalog(project.workspace.catalog_url)
    before = len(candidates.candidates(catalog, project.name, state=None))
    with pytest.raises(UserError, match=problem):
        mending.draw_again(project, catalog, first, wanted)
    assert len(candidates.candidates(catalog, project.name, state=None)) == before
    catalog.close()


def test_a_model_that_only_the_candidates_picture_names_is_not_downloaded(tmp_path: Path) -> None:
    """Such a candidate comes from another person's workspace."""
    made = make_project(tmp_path)
    catalog = open_catalog(made)
    [foreign] = add_published(
        made, catalog, 1, 1, [made_shot(1, base_model="someone/some-model", base_model_hash="c" * 64)]
    )
    with pytest.raises(UserError, match=r"base model someone/some-model: .*nothing is downloaded"):
        mending.draw_again(made, catalog, foreign, Redraw())
    catalog.close()


def test_an_edited_caption_is_the_picks(reviewed: tuple[Project, list[str]]) -> None:
    project, (first, _) = reviewed
    assert (
        sid(project, "caption", "apple", first[:8], " woman,  green apple ")
        == f"{first}: woman, green apple\n"
    )
    catalog = Catalog(project.workspace.catalog_url)
    verdicts.decide(catalog, project.name, [first], Verdict.ACCEPT, "t")
    growth.grow(project, catalog)
    assert [entry.caption for entry in entries.of_project(project, catalog)][1:] == ["woman, green apple"]
    with pytest.raises(UserError, match="in the dataset already"):
        candidates.set_caption(catalog, project.name, first, "woman")
    assert captions.parse(candidate_of(project, first).caption) == ["woman", "green apple"]
    catalog.close()
