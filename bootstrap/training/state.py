"""The saved state of a training, from which it resumes exactly."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from bootstrap import tensor_files
from bootstrap.training.adapters import Adapters


@dataclass(frozen=True)
class SavedStep:
    """The position of a saved training."""

    epoch: int  # finished
    step: int  # finished, over all epochs


def save(
    path: Path,
    adapters: Adapters,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    position: SavedStep,
) -> None:
    """Save the LoRA, the optimizer's state, the loss scale and the position, whole or not at all.

    Nothing else is needed: everything random in a step follows from the seed and the step's number.
    """
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, parameter in enumerate(adapters.parameters()):
        tensors[f"{index}.parameter"] = parameter.data
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{key}"] = value
            elif isinstance(value, int | float):
                numbers[f"{index}.{key}"] = value
    # Prodigy stores its estimate of the distance in the parameter groups.
    groups = [
        {key: value for key, value in group.items() if isinstance(value, int | float)}
        for group in optimizer.param_groups
    ]
    metadata = {
        "epoch": str(position.epoch),
        "step": str(position.step),
        "numbers": json.dumps(numbers),
        "groups": json.dumps(groups),
        "scaler": json.dumps(scaler.state_dict()),
    }
    tensor_files.write(path, tensors, metadata)


def load(
    path: Path, adapters: Adapters, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> SavedStep | None:
    """Restore a saved state and return its position; None if there is no file.

    Raises:
        RuntimeError: the file is not the state of such a training.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file, torch.no_grad():
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            numbers = json.loads(metadata["numbers"])
            for index, parameter in enumerate(adapters.parameters()):
                parameter.copy_(tensors.pop(f"{index}.parameter"))
                prefix = f"{index}."
                moments = {
                    name.removeprefix(prefix): value.to(parameter.device)
                    for name, value in tensors.items()
                    if name.startswith(prefix)
                }
                moments |= {
                    name.removeprefix(prefix): value
                    for name, value in numbers.items()
                    if name.startswith(prefix)
                }
                if moments:
                    optimizer.state[parameter] = moments
            for group, saved in zip(optimizer.param_groups, json.loads(metadata["groups"]), strict=True):
                group.update(saved)
            scaler.load_state_dict(json.loads(metadata["scaler"]))
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise RuntimeError(
            f"training state {path}: it does not fit this training ({error}); delete it to start over"
        ) from error
    return SavedStep(int(metadata["epoch"]), int(metadata["step"]))
