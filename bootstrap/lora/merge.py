"""Merging LoRAs into a base model's weights for a while, and restoring the weights exactly."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType

import torch

from bootstrap.errors import UserError
from bootstrap.lora.changes import Ia3
from bootstrap.lora.modules import LoraFile, fits
from bootstrap.lora.targets import Layer, layers_of
from bootstrap.models import registry
from bootstrap.models.family import BaseModel


class merged(AbstractContextManager[None]):  # noqa: N801  (used as a verb: `with merged(base, loras)`)
    """Merge LoRAs into a base model within a `with` block.

    The changed weights are copied before and restored after, so that they are bit-identical; subtracting the delta
    would leave rounding errors.

    LoRAs are merged one after the other: a change that depends on the weight, such as DoRA's, sees it with the LoRAs
    before, as in AUTOMATIC1111 and ComfyUI.
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
        of_denoiser, *of_encoders = layers_of(base)
        self._of_denoiser = set(of_denoiser)
        self._layers: dict[str, Layer] = dict(of_denoiser)
        for layers in of_encoders:
            self._layers |= layers
        self._pristine: list[tuple[torch.Tensor, torch.Tensor]] = []  # parameters and their values before
        for lora, _ in self._loras:
            self._check(lora)

    def _check(self, lora: LoraFile) -> None:
        lora_family, base_family = registry.of_lora(lora.names), self._base.family
        where, base_name = f"LoRA {lora.metadata.get('ss_output_name', '')}", self._base.spec.name
        if lora_family is not None and lora_family.lora_family != base_family.lora_family:
            raise UserError(
                f"{where}: it was made for {lora_family.title}, the base model "
                f"{base_name} is {base_family.title}; take a base model of its kind"
            )
        unknown = [name for name in lora.names if name not in self._layers]
        total = len(lora.names)
        if unknown:
            raise UserError(
                f"{where}: {total - len(unknown)} of {total} modules fit the base model {base_name}; it has no "
                f"'{unknown[0]}'"
            )
        for name in lora.names:
            layer = self._layers[name]
            shape = tuple(layer.weight.shape)
            made_for = None
            if name in lora.modules and not fits(lora.modules[name].shape, shape):
                made_for = str(lora.modules[name].shape)
            elif name in lora.changes:
                made_for = lora.changes[name].misfit(shape)
            if made_for is not None:
                raise UserError(
                    f"{where}: module '{name}' is {made_for}, the base model {base_name} has {shape}"
                )
            if name in lora.biases:
                bias = getattr(layer, "bias", None)
                if bias is None or bias.shape != lora.biases[name].shape:
                    has = "no bias" if bias is None else f"one of {tuple(bias.shape)}"
                    raise UserError(
                        f"{where}: module '{name}' has a bias of {tuple(lora.biases[name].shape)}, the base model "
                        f"{base_name} has {has} there"
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
        for name in dict.fromkeys(name for lora, _ in self._loras for name in lora.names):
            layer = self._layers[name]
            uses = [
                (lora, strengths[0 if name in self._of_denoiser else 1])
                for lora, strengths in self._loras
                if name in lora.modules or name in lora.changes or name in lora.biases
            ]
            self._merge_weight(name, layer.weight, uses)
            bias = getattr(layer, "bias", None)  # an embedding has none
            if bias is not None:
                self._merge_bias(name, bias, uses)

    def _merge_weight(self, name: str, weight: torch.Tensor, uses: list[tuple[LoraFile, float]]) -> None:
        if not any(name in lora.modules or name in lora.changes for lora, _ in uses):
            return
        self._pristine.append((weight, weight.detach().clone()))
        total = weight.float()
        for lora, strength in uses:
            if name in lora.modules:
                delta = lora.modules[name].to(weight.device).delta()
                total = total + strength * delta.reshape(total.shape)
            elif name in lora.changes:
                total = lora.changes[name].changed(total, strength)
        weight.copy_(total)

    def _merge_bias(self, name: str, bias: torch.Tensor, uses: list[tuple[LoraFile, float]]) -> None:
        total = bias.float()
        for lora, strength in uses:
            change = lora.changes.get(name)
            if isinstance(change, Ia3) and change.scales_bias:
                total = change.changed(total[:, None], strength)[:, 0]
            if name in lora.biases:
                total = total + strength * lora.biases[name].to(bias.device).float()
        if total is not bias and not torch.equal(total, bias.float()):
            self._pristine.append((bias, bias.detach().clone()))
            bias.copy_(total)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._put_back()

    @torch.no_grad()
    def _put_back(self) -> None:
        for parameter, before in self._pristine:
            parameter.copy_(before)
        self._pristine.clear()
