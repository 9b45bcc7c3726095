"""Z-Image and Z-Image Turbo, and Paper Town Two, which shares their architecture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.models import checkpoint
from bootstrap.models.families.flow_sizes import Z_IMAGE_BLOCK
from bootstrap.models.families.flow_transformer import FIXED, FlowTransformer
from bootstrap.models.families.original_names import OriginalModule, OriginalNames
from bootstrap.models.family import BaseModel, FileModule, Files, Geometry
from bootstrap.models.prompt import Conditioning

if TYPE_CHECKING:
    import torch
    from torch import nn

_TURBO_SHIFT = 3.0  # of the distilled model's scheduler; the base model's is 6
_BLOCKS = ("layers", "noise_refiner", "context_refiner")
# Source: ComfyUI, comfy/utils.py (`z_image_to_diffusers`); OneTrainer, modules/model/ZImageModel.py.
_IN_BLOCKS = {
    "attention.qkv": ("attention.to_q", "attention.to_k", "attention.to_v"),
    "attention.out": ("attention.to_out.0",),
    "attention.q_norm": ("attention.norm_q",),
    "attention.k_norm": ("attention.norm_k",),
} | {
    name: (name,)
    for name in (
        "feed_forward.w1", "feed_forward.w2", "feed_forward.w3", "adaLN_modulation.0", "attention_norm1",
        "attention_norm2", "ffn_norm1", "ffn_norm2",
    )
}  # fmt: skip
_OUTSIDE = {
    "x_embedder": "all_x_embedder.2-1",
    "final_layer.linear": "all_final_layer.2-1.linear",
    "final_layer.adaLN_modulation.1": "all_final_layer.2-1.adaLN_modulation.1",
    **{name: name for name in ("t_embedder.mlp.0", "t_embedder.mlp.2", "cap_embedder.0", "cap_embedder.1")},
}
_NAMES = OriginalNames(
    [
        *(
            OriginalModule(f"{block}.{{n}}.{inner}", tuple(f"{block}.{{n}}.{own}" for own in owns))
            for block in _BLOCKS
            for inner, owns in _IN_BLOCKS.items()
        ),
        *(OriginalModule(path, (own,)) for path, own in _OUTSIDE.items()),
    ]
)


class ZImage(FlowTransformer):
    """A transformer over latents and the tokens of a caption together, in one stream."""

    name = "z-image"
    title = "Z-Image"
    pipeline = "ZImagePipeline"
    thinking = True
    lora_family = "z-image"
    original_names = _NAMES
    checkpointed: tuple[str, ...] = ("ZImageTransformerBlock",)
    lora_metadata: Mapping[str, str] = {
        # musubi-tuner, src/musubi_tuner/dataset/architectures.py and utils/sai_model_spec.py
        "ss_base_model_version": "zimage",
        "modelspec.architecture": "z-image/lora",
        "modelspec.implementation": "https://github.com/Tongyi-MAI/Z-Image",
    }
    # Training: musubi-tuner, docs/zimage.md. Drawing: the model card of Tongyi-MAI/Z-Image, whose guidance scale counts
    # from 0 where AUTOMATIC1111's and ours count from 1.
    defaults: Mapping[str, Mapping[str, Any]] = {
        "training": {"timestep_sampling": "shift", "discrete_flow_shift": 2.0},
        "drawing": {"sampler": "Euler", "steps": 30, "cfg_scale": 5.0},
    }

    def recognizes_folder(self, index: Mapping[str, Any], files: Files) -> bool:
        """Tell the base model from Turbo, which has the same pipeline, by the scheduler's shift."""
        return super().recognizes_folder(index, files) and _is_turbo(files) == isinstance(self, ZImageTurbo)

    def geometry_of(self, configs: Mapping[str, Mapping[str, Any]]) -> Geometry:
        factor = 2 ** (len(configs["vae"]["block_out_channels"]) - 1)
        patch = int(configs["transformer"]["all_patch_size"][0])
        side = int(configs["vae"].get("sample_size", 1024))
        channels = int(configs["transformer"]["in_channels"])
        return Geometry(side, factor * patch, factor, channels, least_step=factor * patch)

    # Text: pooled is each row's number of tokens, (rows,), int64.

    def filled(self, tokens: int) -> int:
        return max(1, -(-tokens // Z_IMAGE_BLOCK)) * Z_IMAGE_BLOCK

    def encode_tokens(
        self, base: BaseModel, tokens: "torch.Tensor", length: int, clip_skip: int
    ) -> Conditioning:
        from bootstrap.models.families import qwen3

        padding = base.tokenizers[0].pad_token_id
        states = qwen3.states(base.text_encoders[0], tokens, padding, [-2])
        return Conditioning(states, (tokens != padding).sum(1))

    def padded(self, parts: Sequence[Conditioning]) -> Conditioning:
        import torch.nn.functional as F

        from bootstrap.models.conditioning import joined

        longest = max(part.states.shape[1] for part in parts)
        return joined(
            [
                Conditioning(F.pad(part.states, (0, 0, 0, longest - part.states.shape[1])), part.pooled)
                for part in parts
            ]
        )

    # Latents.

    def encode_pixels(self, base: BaseModel, pixels: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        from bootstrap.models.families import flow_model

        return flow_model.encode_pixels(base, pixels)

    def decode_latents(self, base: BaseModel, latents: "torch.Tensor") -> "torch.Tensor":
        from bootstrap.models.families import flow_model

        return flow_model.decode_latents(base, latents)

    # Noise and the denoiser.

    def mu(self, config: Mapping[str, Any], tokens: int, steps: int) -> float:
        from bootstrap.models import flow_matching

        return flow_matching.shift_of_length(dict(config), tokens)

    def predict(
        self,
        base: BaseModel,
        latents: "torch.Tensor",
        timesteps: "torch.Tensor",
        conditioning: Conditioning,
    ) -> "torch.Tensor":
        from bootstrap.models.families import z_image_model

        return z_image_model.predict(base, latents, timesteps, conditioning)[0]

    def activations(
        self, base: BaseModel, latents: "torch.Tensor", timestep: "torch.Tensor", conditioning: Conditioning
    ) -> "torch.Tensor":
        from bootstrap.models.families import z_image_model

        return z_image_model.predict(base, latents, timestep, conditioning)[1]

    def activation_count(self, base: BaseModel) -> int:
        denoiser: Any = base.denoiser
        return int(denoiser.config["dim"])

    # LoRA files.

    def lora_paths(self, transformer: "nn.Module") -> list[str]:
        """Return attention and feed-forward of the main layers, as musubi-tuner's networks/lora_zimage.py does."""
        from bootstrap.models.families import flow_model

        paths = flow_model.linear_paths(transformer, ("ZImageTransformerBlock",))
        return [path for path in paths if path.startswith("layers.") and "_modulation" not in path]

    def comfyui_module(self, name: str) -> FileModule | None:
        """Return a module of diffusers': ai-toolkit's files have these, and of fused ones diffusers loads nothing."""
        return FileModule(name, self.module_path(name)[0], (name,))


class ZImageTurbo(ZImage):
    """The distilled model: few steps, and neither guidance nor a negative prompt."""

    name = "z-image-turbo"
    title = "Z-Image Turbo"
    defaults: Mapping[str, Mapping[str, Any]] = {
        "training": {"timestep_sampling": "shift", "discrete_flow_shift": 2.0},
        "drawing": {"sampler": "Euler", "steps": 9},
    }
    fixed: Mapping[str, Mapping[str, Any]] = {
        **FIXED, "drawing": {**FIXED["drawing"], "cfg_scale": 1.0, "negative_prompt": ""},
    }  # fmt: skip


def _is_turbo(files: Files) -> bool:
    return checkpoint.read_json(files("scheduler/scheduler_config.json")).get("shift") == _TURBO_SHIFT


Z_IMAGE, Z_IMAGE_TURBO = ZImage(), ZImageTurbo()
