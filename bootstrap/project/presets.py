"""Training settings to start from: named presets, another project's, or a file; see `sid set --from`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.errors import UserError
from bootstrap.project import kohya_config
from bootstrap.project.projects import Project, Workspace
from bootstrap.project.settings import TrainingSection

# What belongs to one project's pictures and subject, and is not taken from another one.
_OF_ONE_PROJECT = {"class_tokens", "reg_data_dir", "sample_prompts"}


@dataclass(frozen=True)
class Preset:
    """Values of `[training]`, and what they are for."""

    purpose: str
    values: Mapping[str, Any]  # None: the base model's default


PRESETS = {
    "defaults": Preset(
        "the base model's own, for one picture and its picks",
        {name: None for name in TrainingSection.model_fields if name not in _OF_ONE_PROJECT},
    ),
    "low-memory": Preset(
        "for cards of 6 to 8 GB: slower, the same pictures learnt",
        {"train_batch_size": 1, "gradient_checkpointing": True, "network_dim": 16, "network_alpha": 8},
    ),
    "flexible": Preset(
        "sticks less to the one picture: a small LoRA, tags shuffled and dropped",
        {
            "network_dim": 16,
            "network_alpha": 8,
            "shuffle_caption": True,
            "keep_tokens": 1,
            "caption_tag_dropout_rate": 0.1,
        },
    ),
    "prodigy": Preset(
        "the optimizer finds the learning rates itself (needs the extra `prodigy`)",
        {
            "optimizer": "Prodigy",
            "unet_lr": 1.0,
            "text_encoder_lr": 1.0,
            "lr_scheduler": "cosine",
            "min_snr_gamma": 5.0,
        },
    ),
}


def find(workspace: Workspace, name: str) -> kohya_config.Taken:
    """Return the training settings of a file, a preset or another project, in this order.

    Args:
        name: a path that ends with .toml or .json, a key of PRESETS, or a project's name.

    Raises:
        UserError: there is nothing of that name; or see kohya_config.read.
    """
    if Path(name).suffix.lower() in (".toml", ".json"):
        return kohya_config.read(Path(name))
    if name in PRESETS:
        return kohya_config.Taken(dict(PRESETS[name].values))
    if name in workspace.project_names():
        return of_project(workspace.project(name))
    raise UserError(
        f"--from {name}: it is no .toml or .json file, no project and no preset; presets are {', '.join(PRESETS)}"
    )


def of_project(project: Project) -> kohya_config.Taken:
    """Return a project's training settings, without what belongs to its pictures and subject."""
    return kohya_config.Taken(project.settings.training.model_dump(exclude=_OF_ONE_PROJECT))


def assignments(taken: kohya_config.Taken) -> dict[str, Any]:
    """Return the values by their keys in project.toml, such as `training.epochs`."""
    return {f"training.{name}": value for name, value in taken.values.items()}
