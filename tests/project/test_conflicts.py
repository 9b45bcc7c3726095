"""Settings against each other: what cannot work is refused before any work, what has no effect is told."""

import logging
from pathlib import Path

import pytest

from bootstrap.catalog import Catalog
from bootstrap.errors import UserError
from bootstrap.loop import generation
from bootstrap.models import specs
from bootstrap.models.families import stable_diffusion
from bootstrap.project import conflicts, editing
from bootstrap.project.projects import Project, Workspace, create
from bootstrap.project.settings import Settings
from bootstrap.training.schedule import learning_rate_factor
from tests.sd_checkpoint import small_sdxl

CAPTION = "woman, red apple, teal wall"


@pytest.fixture
def project(tmp_path: Path, originals: Path) -> Project:
    """Paper Town's defaults: 6 epochs of 80 repeats in batches of 4, 120 steps."""
    return create(Workspace(tmp_path), "apple", originals / "badge.png", CAPTION)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["lr_warmup_steps=5000"], "lr_warmup_steps 5000 is not less than the training's 120 steps"),
        (["lr_warmup_steps=120"], "lr_warmup_steps 120"),
        (["lr_warmup_steps=30", "max_train_steps=20"], "the training's 20 steps"),
        (["lr_warmup_steps=100", "epochs=5"], "the training's 100 steps"),
        (["caption_dropout_rate=1"], "caption_dropout_rate 1"),
        (["conv_dim=4", "unet_lr=0"], "conv_dim 4"),
        (["optimizer=Prodigy"], "Prodigy"),  # with AdamW's rates
        (["optimizer=Prodigy", "unet_lr=0.0001", "text_encoder_lr=0.0001"], "multiplies it with 0.0001"),
        (["optimizer=Prodigy", "unet_lr=0.0001", "text_encoder_lr=0"], "multiplies it with 0.0001"),
        (["save_every_n_epochs=7"], "save_every_n_epochs 7"),
        (["max_train_steps=5"], "max_train_steps 5"),
        (["clip_skip=4"], "the text encoder has 3 layers"),
    ],
)
def test_settings_that_cannot_work_together_are_refused(
    project: Project, settings: list[str], named: str
) -> None:
    before = project.toml.read_bytes()
    with pytest.raises(UserError) as refused:
        editing.set_values(project, [f"training.{setting}" for setting in settings])
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)
    assert project.toml.read_bytes() == before


def test_drawings_clip_skip_is_held_to_the_text_encoder_too(project: Project) -> None:
    with pytest.raises(UserError, match=r"drawing\.clip_skip' is 4, but the text encoder has 3 layers"):
        editing.set_values(project, ["drawing.clip_skip=4"])
    editing.set_values(project, ["drawing.clip_skip=3"])


def test_a_warmup_that_ends_in_time_reaches_the_rate(project: Project) -> None:
    editing.set_values(project, ["training.lr_warmup_steps=119"])
    settings = project.workspace.project("apple").settings.training
    assert learning_rate_factor(settings, 119, 120) == 1
    # Class pictures double the steps.
    editing.set_values(project, ["training.class_tokens=woman", "training.lr_warmup_steps=239"])
    with pytest.raises(UserError, match="240 steps"):
        editing.set_values(project, ["training.lr_warmup_steps=240"])


NOTES = [
    (["training.keep_tokens=2"], "training.shuffle_caption has no effect: keep_tokens leaves 1 of 3 tags"),
    (["training.shuffle_caption=false"], None),
    (["training.shuffle_caption=false", "training.keep_tokens=2"], "training.keep_tokens 2 has no effect"),
    (["training.keep_tokens=3"], "training.shuffle_caption has no effect: keep_tokens leaves 0 of 3 tags"),
    (["project.caption=woman, red apple"], "shuffle_caption has no effect"),
    (
        ["training.shuffle_caption=false", "training.keep_tokens=3", "training.caption_tag_dropout_rate=0.1"],
        "training.caption_tag_dropout_rate has no effect",
    ),
    (["training.conv_alpha=4"], "training.conv_alpha 4 has no effect without conv_dim"),
    (["training.conv_alpha=4", "training.conv_dim=8"], None),
    (["training.prior_loss_weight=0.5"], "training.prior_loss_weight 0.5 has no effect"),
    (["training.prior_loss_weight=0.5", "training.class_tokens=woman"], None),
    (["training.prior_loss_weight=0", "training.class_tokens=woman"], "half of the steps"),
    (["training.train_batch_size=8", "training.repeats=4"], "training.train_batch_size 8 is more than repeats 4"),
    (["training.unet_lr=1", "training.text_encoder_lr=1"], "Prodigy's"),
    (
        ["training.optimizer=Prodigy", "training.unet_lr=1", "training.text_encoder_lr=1", "training.repeats=12"],
        "Prodigy takes about 40 steps to find its rate, and the training has 18",
    ),
    (["training.optimizer=Prodigy", "training.unet_lr=1", "training.text_encoder_lr=1"], None),
    (["training.noise_offset=0.05"], "zero terminal SNR"),
    (["training.resolution=512"], "more than twice the 128"),
    (["drawing.cfg_scale=1", "drawing.negative_prompt=hat"], "drawing.negative_prompt has no effect"),
    (["drawing.cfg_scale=1", "recipe[1].negative_prompt=hat"], "recipe[1], vary: its negative prompt"),
    (["recipe[1].strength=0"], "recipe[1], vary: strength 0 draws without the LoRA"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "named"), NOTES, ids=str)
def test_settings_without_effect_are_told_when_they_are_set_and_before_a_run(
    project: Project, caplog: pytest.LogCaptureFixture, settings: list[str], named: str | None
) -> None:
    told = editing.set_values(project, settings)[len(settings) :]
    assert [(named or "") in note for note in told] == [True] * bool(named), told
    again = project.workspace.project("apple")
    with caplog.at_level(logging.WARNING):
        begun = generation.prepare(again, Catalog(again.workspace.catalog_url))
    begun.catalog.close()
    assert [f"note: {record.getMessage()}" for record in caplog.records] == told


def test_nothing_is_told_of_the_defaults(project: Project) -> None:
    assert conflicts.notes(*project.settings_and_base) == []


def test_clip_skip_with_sdxl_and_noise_offset_with_a_marked_checkpoint_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, configs = small_sdxl(tmp_path, stable_diffusion.CONFIGS, "v_pred", "ztsnr")
    monkeypatch.setattr(stable_diffusion, "CONFIGS", configs)
    raw = {"project": {"caption": CAPTION}, "training": {"clip_skip": 2, "noise_offset": 0.1}}
    notes = conflicts.notes(Settings.model_validate(raw), specs.find(str(path)))
    assert ["clip_skip 2 has no effect" in notes[0], "zero terminal SNR" in notes[1]] == [True, True]


def test_a_long_caption_is_refused_before_any_work(project: Project) -> None:
    editing.set_values(project, ["training.max_token_length=75", f"project.caption={'red apple, ' * 30}"])
    again = project.workspace.project("apple")
    with pytest.raises(UserError, match=r"original.png: it has \d+ tokens, training.max_token_length is 75"):
        generation.prepare(again, Catalog(again.workspace.catalog_url))


def test_fp16_without_a_gpu_is_refused_before_any_work(project: Project) -> None:
    editing.set_values(project, ["training.mixed_precision=fp16"])
    again = project.workspace.project("apple")
    with pytest.raises(UserError, match='"fp16" needs a GPU'):
        generation.prepare(again, Catalog(again.workspace.catalog_url))
