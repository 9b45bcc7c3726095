"""FLUX.2 klein: the base model, and the distilled one, which takes four steps."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.models.families import qwen3
from bootstrap.models.families.flow_sizes import FLUX2_PACKED
from bootstrap.models.families.flow_transformer import FIXED, FlowTransformer
from bootstrap.models.families.original_names import OriginalModule, OriginalNames
from bootstrap.models.family import BaseModel, Files, Geometry
from bootstrap.models.prompt import Conditioning

if TYPE_CHECKING:
    import torch
    from torch import nn

TEXT_LAYERS = (9, 18, 27)  # of Qwen3's 36, whose states lie side by side
# Source: OneTrainer, modules/model/Flux2Model.py; diffusers, loaders/lora_conversion_utils.py.
_IN_DOUBLE = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
    "img_mlp.0": ("ff.linear_in",),
    "img_mlp.2": ("ff.linear_out",),
    "txt_mlp.0": ("ff_context.linear_in",),
    "txt_mlp.2": ("ff_context.linear_out",),
    "img_attn.norm.query_norm": ("attn.norm_q",),
    "img_attn.norm.key_norm": ("attn.norm_k",),
    "txt_attn.norm.query_norm": ("attn.norm_added_q",),
    "txt_attn.norm.key_norm": ("attn.norm_added_k",),
}
_IN_SINGLE = {
    "linear1": "attn.to_qkv_mlp_proj",
    "linear2": "attn.to_out",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
}
_OUTSIDE = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_guidance_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_guidance_embed.timestep_embedder.linear_2",
    "guidance_in.in_layer": "time_guidance_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_guidance_embed.guidance_embedder.linear_2",
    "double_stream_modulation_img.lin": "double_stream_modulation_img.linear",
    "double_stream_modulation_txt.lin": "double_stream_modulation_txt.linear",
    "single_stream_modulation.lin": "single_stream_modulation.linear",
    "final_layer.linear": "proj_out",
}
_NAMES = OriginalNames(
    [
        *(
            OriginalModule(f"double_blocks.{{n}}.{inner}", tuple(f"transformer_blocks.{{n}}.{own}" for own in owns))
            for inner, owns in _IN_DOUBLE.items()
        ),
        *(
            OriginalModule(f"single_blocks.{{n}}.{inner}", (f"single_transformer_blocks.{{n}}.{own}",))
            for inner, own in _IN_SINGLE.items()
        ),
        *(OriginalModule(path, (own,)) for path, own in _OUTSIDE.items()),
        # Shift and scale in the release, scale and shift in diffusers.
        OriginalModule("final_layer.adaLN_modulation.1", ("norm_out.linear",), halves_swapped=True),
    ]
)  # fmt: skip


class Flux2Klein(FlowTransformer):
    """The base model, which is the one to train."""

    name = "flux2"
    title = "FLUX.2 klein"
    pipeline = "Flux2KleinPipeline"
    thinking = False
    lora_family = "flux2"
    original_names = _NAMES
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
