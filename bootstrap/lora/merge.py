"""Merging LoRAs into the weights of a base model, and taking them out again exactly."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType

import torch

from bootstrap.errors import UserError
from bootstrap.lora.kohya import LoraFile
from bootstrap.lora.targets import target_modules, targets_of
from bootstrap.models import registry
from bootstrap.models.family import BaseModel


class merged(AbstractContextManager[None]):  # noqa: N801  (used as a verb: `with merged(base, loras)`)
    """A base model with LoRAs merged in, for the length of a `with` block.

    The weights that change are copied before and put back after, so that they are bit for bit what they
    were: subtracting the delta again would leave rounding behind.
    """

    def __init__(
        self, base: BaseModel, loras: Sequence[tuple[LoraFile, float | tuple[float, float]]]
    ) -> None:
        """Check that each LoRA's modules are there, with the right shapes.

        Args:
            base: the base model, without any LoRA.
            loras: each with its strength, or with one for the denoiser and one for the text encoders.

        Raises:
            UserError: a LoRA was made for another kind of model.
        """
        self._base = base
        pairs = [(lora, given if isinstance(given, tuple) else (given, given)) for lora, given in loras]
        self._loras = [(lora, strengths) for lora, strengths in pairs if any(strengths)]
        self._targets = target_modules(base, convolutions=True)
        self._of_denoiser = set(targets_of(base, convolutions=True)[0][1])
        self._pristine: dict[str, torch.Tensor] = {}
        for lora, _ in self._loras:
            self._check(lora)

    def _check(self, lora: LoraFile) -> None:
        made_for, here = registry.of_lora(lora.modules), self._base.family
        if made_for is not None and made_for is not here:
            raise UserError(
                f"LoRA {lora.metadata.get('ss_output_name', '')}: it was made for {made_for.title}, the base model "
                f"{self._base.spec.name} is {here.title}; take a base model of its kind"
            )
        unknown = [name for name in lora.modules if name not in self._targets]
        total = len(lora.modules)
        if unknown:
            raise UserError(
                f"LoRA {lora.metadata.get('ss_output_name', '')}: {total - len(unknown)} of {total} modules fit the "
                f"base model {self._base.spec.name}; it has no '{unknown[0]}'"
            )
        for name, module in lora.modules.items():
            weight = self._targets[name].weight
            shape = (module.up.shape[0], *module.down.shape[1:])
            if tuple(weight.shape) != shape:
                raise UserError(
                    f"LoRA {lora.metadata.get('ss_output_name', '')}: module '{name}' is {shape}, the base model "
                    f"{self._base.spec.name} has {tuple(weight.shape)}"
                )

    def __enter__(self) -> None:
        try:
            self._merge()
        except BaseException:  # memory that ran out, or Ctrl-C: `with` ends only what has begun
            self._put_back()
            raise

    @torch.no_grad()
    def _merge(self) -> None:
        for name in {name for lora, _ in self._loras for name in lora.modules}:
            weight = self._targets[name].weight
            self._pristine[name] = weight.detach().clone()
            total = weight.float()
            for lora, strengths in self._loras:
                strength = strengths[0 if name in self._of_denoiser else 1]
                if name in lora.modules:
                    total = total + strength * lora.modules[name].to(weight.device).delta()
            weight.copy_(total)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._put_back()

    @torch.no_grad()
    def _put_back(self) -> None:
        for name, weight in self._pristine.items():
            self._targets[name].weight.copy_(weight)
        self._pristine.clear()
