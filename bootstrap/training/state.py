"""The saved state of a training, from which it resumes exactly."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from bootstrap import reading, tensor_files
from bootstrap.errors import UserError
from bootstrap.training.adapters import Adapters

_REMEDY = "delete it to start over"
_Shape = TypeVar("_Shape")


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
        UserError: the file is not the state of such a training.
    """
    if not path.is_file():
        return None
    where = f"training state {path}"
    try:
        with reading.safetensors(path, where, _REMEDY) as file, torch.no_grad():
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            numbers = _parsed(metadata["numbers"], dict[str, int | float], where)
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
            groups = _parsed(metadata["groups"], list[dict[str, bool | int | float]], where)
            for group, saved in zip(optimizer.param_groups, groups, strict=True):
                group.update(saved)
            scaler.load_state_dict(_parsed(metadata["scaler"], dict[str, Any], where))
            return SavedStep(int(metadata["epoch"]), int(metadata["step"]))
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{where}: it does not fit this training ({error}); {_REMEDY}") from error


def _parsed(text: str, shape: type[_Shape], where: str) -> _Shape:
    return reading.shaped(shape, reading.parse_json(text, where, _REMEDY, infinite=True), where, _REMEDY)
