"""The memory forecast of a training: computed before it starts, from the shapes of its tensors."""

import copy
import dataclasses
import os
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from bootstrap.models import conditioning, latents
from bootstrap.models.family import BaseModel
from bootstrap.project.settings import TrainingSection
from bootstrap.training.adapters import Size, injected


def predicted_bytes(
    base: BaseModel, settings: TrainingSection, size: tuple[int, int], length: int, half_precision: bool
) -> int:
    """Return the peak memory of a training in bytes, including the base model.

    The forward pass of one step runs on tensors without values, and everything it saves for the backward pass is added
    up. Python, the libraries and the driver are not counted.

    Args:
        size: width and height in pixels of the largest pictures.
        length: length of the captions, in the family's unit.
        half_precision: whether the forward pass runs in float16 or bfloat16.
    """
    shapes = _without_values(base)
    batch = settings.train_batch_size
    trains_text = settings.text_encoder_lr > 0
    activations = _SavedActivations(shapes)
    with (
        injected(
            shapes,
            Size(settings.network_dim, settings.network_alpha),
            trains_text,
            settings.seed,
            half_precision,
            Size(settings.conv_dim, settings.conv_alpha) if settings.conv_dim else None,
        ) as adapters,
        activations.counted(settings.gradient_checkpointing),
        _FusedAttention(),
    ):
        adapters.fold()
        tokens = base.family.tokens(base, [""] * batch, length).to("meta")
        with torch.set_grad_enabled(trains_text):
            captions = base.family.encode_tokens(shapes, tokens, length, settings.clip_skip)
        noisy = torch.zeros(batch, *latents.shape(base, *size), device="meta")
        height, width = noisy.shape[-2:]
        timesteps = base.family.noise(base).timesteps(batch, torch.Generator(), (height, width)).to("meta")
        conditioning.predict(shapes, noisy, timesteps, captions)
        # Each parameter of the LoRA has a value, a gradient and the optimizer's two moments.
        trained = 4 * sum(_bytes(parameter) for parameter in adapters.parameters())
        trained += sum(stack.copied_bytes for stack in adapters.stacks)
    frozen = sum(
        _bytes(tensor) for model in base.modules for tensor in (*model.parameters(), *model.buffers())
    )
    return frozen + trained + activations.total()


def available_bytes(device: torch.device) -> int | None:
    """Return the memory available to a training, including its base model's; None if the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class _SavedActivations:
    """Adds up the tensors that a forward pass saves; shared memory counts once, the model's own not at all."""

    def __init__(self, shapes: BaseModel) -> None:
        self._models: list[nn.Module] = [shapes.denoiser, *shapes.text_encoders]
        self._checkpointed = shapes.family.checkpointed
        self._own = {
            tensor.untyped_storage()._cdata
            for model in self._models
            for tensor in (*model.parameters(), *model.buffers())
        }
        self._seen: dict[int, torch.Tensor] = {}  # held, so that no later storage gets the same address
        self._outside = self._largest_block = self._block = self._largest = 0
        self._in_block = False

    def counted(self, checkpointing: bool) -> torch.autograd.graph.saved_tensors_hooks:
        """Return a context in which saved tensors are counted."""
        for module in self._models[0].modules() if checkpointing else ():
            if type(module).__name__ in self._checkpointed:
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(self._leave)
        return torch.autograd.graph.saved_tensors_hooks(self._add, lambda tensor: tensor)

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        self._outside += sum(_bytes(tensor) for tensor in inputs if isinstance(tensor, torch.Tensor))
        self._in_block, self._block = True, 0

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._in_block = False
        self._largest_block = max(self._largest_block, self._block)

    def _add(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._own and storage._cdata not in self._seen:
            self._seen[storage._cdata] = tensor
            self._largest = max(self._largest, storage.nbytes())
            if self._in_block:
                self._block += storage.nbytes()
            else:
                self._outside += storage.nbytes()
        return tensor

    def total(self) -> int:
        """Return the bytes saved, plus two gradients of the largest tensor's size for the backward pass."""
        return self._outside + self._largest_block + 2 * self._largest


class _FusedAttention(TorchFunctionMode):
    """Attention as the fused kernels of GPUs and CPUs compute it: the matrix of weights is never stored."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            query, key, value = args[:3] if len(args) >= 3 else (kwargs[n] for n in ("query", "key", "value"))
            return _Attention.apply(query, key, value)
        return func(*args, **(kwargs or {}))


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, output)
        return output


def _without_values(base: BaseModel) -> BaseModel:
    """Return the same model with shapes only, which takes no memory."""
    return dataclasses.replace(
        base,
        denoiser=_shapes(base.denoiser),
        text_encoders=[_shapes(encoder) for encoder in base.text_encoders],
    )


def _shapes(module: nn.Module) -> nn.Module:
    """Return a copy whose parameters and buffers have no values."""
    empty: dict[int, object] = {}
    for parameter in module.parameters():
        empty[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
    for buffer in module.buffers():
        empty[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(module, empty)


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
