"""Stable Diffusion 1.x, and Paper Town's models, which share its architecture."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bootstrap.errors import UserError
from bootstrap.models import checkpoint
from bootstrap.models.families.stable_diffusion import StableDiffusion
from bootstrap.models.family import BaseModel, Files

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


class StableDiffusion1(StableDiffusion):
    """The family with one CLIP text encoder."""

    name = "sd1"
    title = "Stable Diffusion 1.x"
    pipeline = "StableDiffusionPipeline"
    beginning = "cond_stage_model.transformer."
    beginnings: Mapping[str, str] = {"text_encoder": "cond_stage_model.transformer."}
    configs = "sd15"
    parts: tuple[str, ...] = ("unet", "text_encoder")
    prefixes: tuple[str, ...] = ("lora_unet", "lora_te")
    is_xl = False
    lora_family = "sd1"
    lora_metadata: Mapping[str, str] = {
        # sd-scripts, library/train_util.py, `get_sd_version_str`
        "ss_base_model_version": "sd_v1",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "modelspec.implementation": "diffusers",
    }
    _one_by_one = ("proj_in", "proj_out")

    def recognizes_folder(self, index: Mapping[str, Any], files: Files) -> bool:
        """Tell it from Stable Diffusion 2.x, which has the same pipeline, by the width of the text encoder."""
        if not super().recognizes_folder(index, files):
            return False
        return checkpoint.read_json(files("unet/config.json")).get("cross_attention_dim") != 1024

    def _pipeline(self, parts: Mapping[str, Any]) -> Any:
        from diffusers import StableDiffusionPipeline

        return StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )

    def _shipped_tokenizers(self) -> dict[str, Any]:
        from transformers import CLIPTokenizer

        folder = self.shipped("tokenizer/vocab.json").parent
        return {"tokenizer": CLIPTokenizer.from_pretrained(folder, local_files_only=True)}

    def _states(
        self, base: BaseModel, tokens: "torch.Tensor", weights: "torch.Tensor | None", clip_skip: int
    ) -> "tuple[torch.Tensor, torch.Tensor | None]":
        from bootstrap.models.families import clip

        encoder: Any = base.text_encoders[0]
        if clip_skip == 1:
            return clip.weighted(encoder(tokens)[0], weights), None
        layers = encoder.config.num_hidden_layers
        if clip_skip > layers:
            raise UserError(
                f"clip_skip {clip_skip}: the text encoder has {layers} layers; take 1 to {layers}"
            )
        hidden = encoder(tokens, output_hidden_states=True).hidden_states[-clip_skip]
        # transformers 5.6 and later do not wrap the layers in `text_model`.
        inner = getattr(encoder, "text_model", encoder)
        return clip.weighted(inner.final_layer_norm(hidden), weights), None

    def _embedding_tensors(
        self, tensors: "Mapping[str, NDArray[np.float32]]"
    ) -> "tuple[NDArray[np.float32], ...] | None":
        """Return the file's only tensor, whatever its name."""
        return tuple(tensors.values()) if len(tensors) == 1 else None


SD1 = StableDiffusion1()
