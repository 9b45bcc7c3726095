"""The saved state of a training, from which it resumes exactly."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from bootstrap.files import whole_file
from bootstrap.training.adapters import Adapters


@dataclass(frozen=True)
class SavedStep:
    """How far a saved training had come."""

    epoch: int  # finished
    step: int  # finished, over all epochs


def save(
    path: Path,
    adapters: Adapters,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    position: SavedStep,
) -> None:
    """Save LoRA, what the optimizer keeps, the loss scale and the position, whole or not at all.

    Nothing else is needed: all that is random in a step comes from the seed and the step's number.
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
    # Prodigy keeps its estimate of the distance in the groups.
    groups = [
        {key: value for key, value in group.items() if isinstance(value, int | float)}
        for group in optimizer.param_groups
    ]
    told = {
        "epoch": str(position.epoch),
        "step": str(position.step),
        "numbers": json.dumps(numbers),
        "groups": json.dumps(groups),
        "scaler": json.dumps(scaler.state_dict()),
    }
    with whole_file(path) as temporary:
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, temporary, told)


def load(
    path: Path, adapters: Adapters, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> SavedStep | None:
    """Put a saved state back; None when there is none.

    Raises:
        RuntimeError: the file is there but is not the state of such a training.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file, torch.no_grad():
            told = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            numbers = json.loads(told["numbers"])
            for index, parameter in enumerate(adapters.parameters()):
                parameter.copy_(tensors.pop(f"{index}.parameter"))
                own = f"{index}."
                state = {
                    name.removeprefix(own): value.to(parameter.device)
                    for name, value in tensors.items()
                    if name.startswith(own)
                }
                state |= {
                    name.removeprefix(own): value for name, value in numbers.items() if name.startswith(own)
                }
                if state:
                    optimizer.state[parameter] = state
            for group, saved in zip(optimizer.param_groups, json.loads(told["groups"]), strict=True):
                group.update(saved)
            scaler.load_state_dict(json.loads(told["scaler"]))
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise RuntimeError(
            f"training state {path}: it does not fit ({error}); delete it to train anew"
        ) from error
    return SavedStep(int(told["epoch"]), int(told["step"]))
