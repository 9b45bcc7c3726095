"""The saved state of a training, from which it resumes exactly."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from bootstrap.files import whole_file
from bootstrap.training.adapters import Adapters

_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class SavedStep:
    """How far a saved training had come."""

    epoch: int  # finished
    step: int  # finished, over all epochs


def save(path: Path, adapters: Adapters, optimizer: torch.optim.Optimizer, epoch: int, step: int) -> None:
    """Save LoRA, AdamW's moments and the position in float32, whole or not at all.

    Nothing else is needed: all that is random in a step comes from the seed and the step's number.
    """
    tensors: dict[str, torch.Tensor] = {}
    for index, parameter in enumerate(adapters.parameters()):
        tensors[f"{index}.parameter"] = parameter.data
        state = optimizer.state.get(parameter, {})
        tensors.update({f"{index}.{moment}": state[moment] for moment in _MOMENTS if moment in state})
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, {"epoch": str(epoch), "step": str(step)})


def load(path: Path, adapters: Adapters, optimizer: torch.optim.Optimizer) -> SavedStep | None:
    """Put a saved state back; None when there is none.

    Raises:
        RuntimeError: the file is there but is not the state of such a training.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file, torch.no_grad():
            position = file.metadata()
            names = set(file.keys())
            for index, parameter in enumerate(adapters.parameters()):
                parameter.copy_(file.get_tensor(f"{index}.parameter"))
                if f"{index}.exp_avg" in names:
                    moments = {
                        one: file.get_tensor(f"{index}.{one}").to(parameter.device) for one in _MOMENTS
                    }
                    optimizer.state[parameter] = {
                        "step": torch.tensor(float(position["step"]), device=parameter.device),
                        **moments,
                    }
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise RuntimeError(
            f"training state {path}: it does not fit ({error}); delete it to train anew"
        ) from error
    return SavedStep(int(position["epoch"]), int(position["step"]))
