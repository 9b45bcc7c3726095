"""FLUX.2 klein: the base model, and the distilled one, which takes four steps."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.models.families import qwen3
from bootstrap.models.families.flow_sizes import FLUX2_PACKED
from bootstrap.models.families.flow_transformer import FIXED, FlowTransformer
from bootstrap.models.family import BaseModel, Files, Geometry
from bootstrap.models.prompt import Conditioning

if TYPE_CHECKING:
    import torch
    from torch import nn

TEXT_LAYERS = (9, 18, 27)  # of Qwen3's 36, whose states lie side by side
_NAMES = re.compile(
    r"transformer_blocks_(?P<double>\d+)_(?P<of_double>attn_(?:to_[qkv]|to_out_0|add_[qkv]_proj|to_add_out)"
    r"|ff_linear_(?:in|out)|ff_context_linear_(?:in|out))"
    r"|single_transformer_blocks_(?P<single>\d+)_attn_(?P<of_single>to_qkv_mlp_proj|to_out)"
)


class Flux2Klein(FlowTransformer):
    """The base model, which is the one to train."""

    name = "flux2"
    title = "FLUX.2 klein"
    pipeline = "Flux2KleinPipeline"
    thinking = False
    checkpointed: tuple[str, ...] = ("Flux2TransformerBlock", "Flux2SingleTransformerBlock")
    lora_metadata: Mapping[str, str] = {
        # musubi-tuner, src/musubi_tuner/dataset/architectures.py and utils/sai_model_spec.py
        "ss_base_model_version": "flux_2_klein_4b",
        "modelspec.architecture": "Flux.2-klein-4b/lora",
        "modelspec.implementation": "https://github.com/black-forest-labs/flux2",
    }
    # musubi-tuner, docs/flux_2.md
    defaults: Mapping[str, Mapping[str, Any]] = {
        "training": {"timestep_sampling": "flux2_shift"},
        "drawing": {"sampler": "Euler", "steps": 50, "cfg_scale": 4.0},
    }
    is_distilled = False

    def recognizes_folder(self, index: Mapping[str, Any], files: Files) -> bool:
        """Tell the base model from the distilled one, which says so in its model_index.json."""
        return (
            super().recognizes_folder(index, files) and bool(index.get("is_distilled")) == self.is_distilled
        )

    def geometry_of(self, configs: Mapping[str, Mapping[str, Any]]) -> Geometry:
        factor = 2 ** (len(configs["vae"]["block_out_channels"]) - 1) * FLUX2_PACKED
        side = int(configs["vae"].get("sample_size", 1024))
        return Geometry(side, factor, factor, int(configs["transformer"]["in_channels"]))

    # Text: always LENGTH tokens, of which the transformer also reads the padding; there is no pooled.

    def filled(self, tokens: int) -> int:
        return qwen3.LENGTH

    def encode_tokens(
        self, base: BaseModel, tokens: "torch.Tensor", length: int, clip_skip: int
    ) -> Conditioning:
        padding = base.tokenizers[0].pad_token_id
        return Conditioning(qwen3.states(base.text_encoders[0], tokens, padding, TEXT_LAYERS), None)

    def padded(self, parts: Sequence[Conditioning]) -> Conditioning:
        from bootstrap.models.conditioning import joined

        return joined(parts)

    # Latents: the VAE's, packed and normalized.

    def encode_pixels(self, base: BaseModel, pixels: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        from bootstrap.models.families import flux2_model

        return flux2_model.encode_pixels(base, pixels)

    def decode_latents(self, base: BaseModel, latents: "torch.Tensor") -> "torch.Tensor":
        from bootstrap.models.families import flux2_model

        return flux2_model.decode_latents(base, latents)

    # Noise and the denoiser.

    def mu(self, config: Mapping[str, Any], tokens: int, steps: int) -> float:
        """Return the shift, by tokens and steps.

        Source: FLUX.2's src/flux2/sampling.py, `compute_empirical_mu`; two lines that were fitted for 10 and 200 steps.
        """
        of_ten, of_200 = 8.73809524e-05 * tokens + 1.89833333, 0.00016927 * tokens + 0.45666666
        if tokens > 4300:
            return of_200
        slope = (of_200 - of_ten) / 190
        return slope * steps + of_200 - 200 * slope

    def predict(
        self,
        base: BaseModel,
        latents: "torch.Tensor",
        timesteps: "torch.Tensor",
        conditioning: Conditioning,
    ) -> "torch.Tensor":
        from bootstrap.models.families import flux2_model

        return flux2_model.predict(base, latents, timesteps, conditioning)

    def activations(
        self, base: BaseModel, latents: "torch.Tensor", timestep: "torch.Tensor", conditioning: Conditioning
    ) -> "torch.Tensor":
        from bootstrap.models.families import flux2_model

        return flux2_model.activations(base, latents, timestep, conditioning)

    def activation_count(self, base: BaseModel) -> int:
        denoiser: Any = base.denoiser
        return int(denoiser.config["num_attention_heads"] * denoiser.config["attention_head_dim"])

    # LoRA files.

    def lora_paths(self, transformer: "nn.Module") -> list[str]:
        """Return all Linear modules of the blocks, as musubi-tuner's networks/lora_flux_2.py does."""
        from bootstrap.models.families import flow_model

        return flow_model.linear_paths(transformer, self.checkpointed)

    def path_of(self, underscored: str) -> str | None:
        found = _NAMES.fullmatch(underscored)
        if found is None:
            return None
        if found["single"]:
            return f"single_transformer_blocks.{found['single']}.attn.{found['of_single']}"
        inner = found["of_double"].replace("attn_", "attn.", 1).replace("out_0", "out.0")
        inner = re.sub(r"^(ff|ff_context)_linear", r"\1.linear", inner)
        return f"transformer_blocks.{found['double']}.{inner}"


class Flux2KleinDistilled(Flux2Klein):
    """The distilled model: four steps, and neither guidance nor a negative prompt."""

    name = "flux2-distilled"
    title = "FLUX.2 klein (distilled)"
    defaults: Mapping[str, Mapping[str, Any]] = {
        "training": {"timestep_sampling": "flux2_shift"},
        "drawing": {"sampler": "Euler", "steps": 4},
    }
    fixed: Mapping[str, Mapping[str, Any]] = {
        **FIXED, "drawing": {**FIXED["drawing"], "cfg_scale": 1.0, "negative_prompt": ""},
    }  # fmt: skip
    is_distilled = True


FLUX2_KLEIN, FLUX2_KLEIN_DISTILLED = Flux2Klein(), Flux2KleinDistilled()
