"""Training settings from elsewhere: `sid set --from` a preset, another project, or a configuration of kohya's."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from making import CAPTION, scene

from bootstrap.project import presets
from bootstrap.project.projects import Project, Workspace
from bootstrap.project.settings import TrainingSection
from tests.sid_command import in_this_process

Sid = Callable[..., tuple[int, str, str]]

SD_SCRIPTS = """
[model_arguments]
pretrained_model_name_or_path = "C:/models/anime.safetensors"
v2 = false

[training_arguments]
max_train_epochs = 8
max_train_steps = 1600
learning_rate = 1e-4
text_encoder_lr = 5e-5
optimizer_type = "adamw8bit"
lr_scheduler = "cosine_with_restarts"
lr_warmup_steps = 0.1
min_snr_gamma = 5
clip_skip = 2
mixed_precision = "bf16"
seed = 31337
gradient_checkpointing = true
multires_noise_iterations = 6
save_every_n_epochs = 2
output_dir = "out"
network_module = "networks.lora"
network_dim = 32
network_alpha = 16
network_args = ["conv_dim=8", "conv_alpha=1", "dropout=0.1"]
"""
DATASETS = """
[general]
shuffle_caption = true
keep_tokens = 2

[[datasets]]
resolution = [512, 768]
batch_size = 4

[[datasets.subsets]]
image_dir = "pictures/reg"
is_reg = true
num_repeats = 1

[[datasets.subsets]]
image_dir = "pictures"
num_repeats = 15
caption_tag_dropout_rate = 0.1
"""
GUI = {
    "LoRA_type": "Standard", "epoch": 10, "max_train_steps": 0, "max_train_epochs": 0, "train_batch_size": 2,
    "learning_rate": 0.0003, "unet_lr": 1.0, "text_encoder_lr": 0, "optimizer": "Prodigy", "network_dim": 8,
    "network_alpha": 4, "conv_dim": 1, "conv_alpha": 1, "max_resolution": "512,512", "keep_tokens": "1",
    "noise_offset": 0.05, "min_snr_gamma": 0, "caption_dropout_rate": 0.05, "flip_aug": False, "seed": 7,
    "scale_weight_norms": 1.0,
    "lr_scheduler": "constant", "lr_warmup": 0, "xformers": "xformers", "stop_text_encoder_training": 0, "gpu_ids": "",
}  # fmt: skip


@pytest.fixture
def sid(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Sid:
    monkeypatch.chdir(tmp_path)
    scene(0).save("good.png")
    run = in_this_process(monkeypatch, capsys)
    assert run("new", "apple", "--image", "good.png", "--caption", CAPTION)[0] == 0
    return run


def apple() -> Project:
    return Workspace.locate().project("apple")


def all_snapshots(*numbers: str) -> list[str]:
    """Return assignments that let the recipes draw with the last snapshot, whichever epochs are saved."""
    return [f"recipe[{number}].snapshot=auto" for number in numbers]


def test_a_toml_of_sd_scripts(sid: Sid) -> None:
    Path("config.toml").write_text(SD_SCRIPTS)
    code, said, errors = sid("set", "apple", *all_snapshots("1", "2"), "--from", "config.toml")
    assert (code, errors) == (0, "")
    assert said.splitlines()[0] == (
        "not taken, because sid has no such setting: lr_scheduler = cosine_with_restarts, lr_warmup_steps = 0.1, "
        "multires_noise_iterations = 6, network_args dropout=0.1"
    )
    training = apple().settings.training
    assert training.model_dump(include={
        "epochs", "max_train_steps", "unet_lr", "text_encoder_lr", "optimizer", "min_snr_gamma", "clip_skip",
        "mixed_precision", "seed", "gradient_checkpointing", "save_every_n_epochs", "network_dim", "network_alpha",
        "conv_dim", "conv_alpha",
    }) == {
        "epochs": 8, "max_train_steps": None, "unet_lr": 1e-4, "text_encoder_lr": 5e-5, "optimizer": "AdamW8bit",
        "min_snr_gamma": 5.0, "clip_skip": 2, "mixed_precision": "bf16", "seed": 31337, "gradient_checkpointing": True,
        "save_every_n_epochs": 2, "network_dim": 32, "network_alpha": 16.0, "conv_dim": 8, "conv_alpha": 1.0,
    }  # fmt: skip


def test_a_dataset_file_of_sd_scripts(sid: Sid) -> None:
    Path("datasets.toml").write_text(DATASETS)
    assert sid("set", "apple", "--from", "datasets.toml")[0] == 0
    training = apple().settings.training
    assert (training.repeats, training.train_batch_size, training.resolution) == (15, 4, 624)
    assert (training.shuffle_caption, training.keep_tokens, training.caption_tag_dropout_rate) == (
        True,
        2,
        0.1,
    )


def test_a_json_of_the_gui(sid: Sid) -> None:
    Path("anna.json").write_text(json.dumps(GUI))
    code, said, errors = sid("set", "apple", "--from", "anna.json", "training.seed=9")
    assert (code, errors) == (0, "")
    assert said.splitlines()[0] == "not taken, because sid has no such setting: scale_weight_norms = 1.0"
    training = apple().settings.training
    assert (training.epochs, training.train_batch_size, training.max_train_steps) == (10, 2, None)
    assert (training.unet_lr, training.text_encoder_lr, training.optimizer) == (1.0, 0.0, "Prodigy")
    assert (training.network_dim, training.network_alpha, training.conv_dim) == (8, 4.0, None)
    assert (training.resolution, training.keep_tokens, training.noise_offset) == (512, 1, 0.05)
    assert (training.caption_dropout_rate, training.min_snr_gamma) == (0.05, None)
    assert training.seed == 9  # what is named beside the file comes before it


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "network_dim = 'wide'", "'network_dim': 'wide' is not what this setting takes"),
        ("a.toml", "flip_aug = 'yes'", "'flip_aug': 'yes' is not what this setting takes"),
        ("a.toml", "resolution = '512,x'", "'resolution': '512,x' is not what this setting takes"),
        ("a.toml", "unet_lr = 'fast'", "a learning rate is not a number"),
        ("a.toml", "network_dim = 100000", "'training.network_dim'"),
        ("a.toml", "output_dir = 'x'", "it has no training setting that sid knows; name a file of kohya's"),
        ("a.toml", "network_dim = ", "not valid TOML"),
        ("a.json", "[1, 2]", "it is no table of settings; name a file of kohya's"),
        ("a.json", '{"network_dim": NaN}', "not valid JSON"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_and_changes_nothing(
    sid: Sid, name: str, text: str, message: str
) -> None:
    before = apple().toml.read_text()
    Path(name).write_text(text)
    code, said, errors = sid("set", "apple", "--from", name)
    assert (code, said) == (2, "") and message in errors and errors.count("\n") == 1
    assert apple().toml.read_text() == before


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_is_valid_for_a_new_project(sid: Sid, name: str) -> None:
    assert sid("set", "apple", "training.epochs=6", "training.clip_skip=2")[0] == 0
    assert sid("set", "apple", "--from", name)[0] == 0
    training = apple().settings.training
    for setting, value in presets.PRESETS[name].values.items():
        if value is not None:
            assert getattr(training, setting) == value
    assert training.clip_skip == (1 if name == "defaults" else 2)
    assert set(presets.PRESETS[name].values) <= set(TrainingSection.model_fields)


def test_the_docs_list_the_presets() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    assert re.findall(r"(?m)^\| `([a-z-]+)` \| [^|]+ \|$", text.partition("## From kohya")[2]) == list(
        presets.PRESETS
    )


def test_another_project_and_its_file_are_presets_too(sid: Sid) -> None:
    assert sid("new", "pear", "--image", "good.png", "--caption", CAPTION)[0] == 0
    assert sid("set", "pear", "training.network_dim=24", "training.class_tokens=woman")[0] == 0
    assert sid("set", "apple", "--from", "pear")[0] == 0
    assert (apple().settings.training.network_dim, apple().settings.training.class_tokens) == (24, None)
    toml = Workspace.locate().project("pear").toml
    assert sid("set", "apple", "training.network_dim=4")[0] == 0
    assert sid("set", "apple", "--from", str(toml))[0] == 0
    assert apple().settings.training.network_dim == 24


def test_what_is_no_source_is_refused_by_name(sid: Sid) -> None:
    code, _, error = sid("set", "apple", "--from", "plum")
    assert (
        code == 2
        and "--from plum: it is no .toml or .json file, no project and no preset; presets are" in error
    )
    assert "defaults, low-memory, flexible, prodigy" in error
    code, _, error = sid("set", "apple")
    assert code == 2 and "name a setting, such as training.repeats=30, or --from" in error
    code, _, error = sid("set", "apple", "--from", "nowhere.toml")
    assert code == 2 and "nowhere.toml" in error
