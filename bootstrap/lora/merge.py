"""Merging LoRAs into a base model's weights, and restoring the weights exactly."""

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
    """Merge LoRAs into a base model within a `with` block.

    The changed weights are copied before and restored after, so that they are bit-identical; subtracting the delta
    would leave rounding errors.
    """

    def __init__(
        self, base: BaseModel, loras: Sequence[tuple[LoraFile, float | tuple[float, float]]]
    ) -> None:
        """Check that the base model has each LoRA's modules, in the same shapes.

        Args:
            base: the base model, without any LoRA.
            loras: each with its strength, or with its strengths (denoiser, text encoders).

        Raises:
            UserError: a LoRA was made for another kind of model.
        """
        self._base = base
        pairs = [
            (lora, strength if isinstance(strength, tuple) else (strength, strength))
            for lora, strength in loras
        ]
        self._loras = [(lora, strengths) for lora, strengths in pairs if any(strengths)]
        self._targets = target_modules(base, convolutions=True)
        self._of_denoiser = set(targets_of(base, convolutions=True)[0][1])
        self._pristine: dict[str, torch.Tensor] = {}
        for lora, _ in self._loras:
            self._check(lora)

    def _check(self, lora: LoraFile) -> None:
        lora_family, base_family = registry.of_lora(lora.modules), self._base.family
        if lora_family is not None and lora_family is not base_family:
            raise UserError(
                f"LoRA {lora.metadata.get('ss_output_name', '')}: it was made for {lora_family.title}, the base model "
                f"{self._base.spec.name} is {base_family.title}; take a base model of its kind"
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
        except (
            BaseException
        ):  # out of memory, or Ctrl-C: `with` calls __exit__ only after __enter__ has returned
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
