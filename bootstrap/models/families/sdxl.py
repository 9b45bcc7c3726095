"""Stable Diffusion XL and the checkpoints that descend from it: Pony, Illustrious, NoobAI."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bootstrap.models.families import kohya_names
from bootstrap.models.families.stable_diffusion import StableDiffusion
from bootstrap.models.family import BaseModel, Files
from bootstrap.models.prompt import Conditioning

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


class StableDiffusionXL(StableDiffusion):
    """The family with two CLIP text encoders and a UNet conditioned on the picture's size."""

    name = "sdxl"
    title = "Stable Diffusion XL"
    pipeline = "StableDiffusionXLPipeline"
    beginning = "conditioner.embedders.1."
    beginnings: Mapping[str, str] = {
        "text_encoder": "conditioner.embedders.0.transformer.",
        "text_encoder_2": "conditioner.embedders.1.model.",
    }
    configs = "sdxl"
    parts: tuple[str, ...] = ("unet", "text_encoder", "text_encoder_2")
    prefixes: tuple[str, ...] = ("lora_unet", "lora_te1", "lora_te2")
    is_xl = True
    lora_family = "sdxl"
    lora_metadata: Mapping[str, str] = {
        # sd-scripts, library/train_util.py, `get_sd_version_str`
        "ss_base_model_version": "sdxl_base_v1-0",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models",  # its block names
    }

    def most_clip_skip(self, files: Files) -> int | None:
        """Return None: it is always the layer before the last."""
        return None

    def _pipeline(self, parts: Mapping[str, Any]) -> Any:
        from diffusers import StableDiffusionXLPipeline

        return StableDiffusionXLPipeline(**parts, add_watermarker=False)

    def _shipped_tokenizers(self) -> dict[str, Any]:
        from transformers import CLIPTokenizer

        # Both tokenizers have SD1.5's vocabulary; the second pads with "!", which is token 0.
        folder = self.shipped("tokenizer/vocab.json").parent
        return {
            "tokenizer": CLIPTokenizer.from_pretrained(folder, local_files_only=True),
            "tokenizer_2": CLIPTokenizer.from_pretrained(folder, local_files_only=True, pad_token="!"),
        }

    def place(self, base: BaseModel, device: "torch.device") -> None:
        """Move the parts to a device; keep the VAE in float32 if its activations overflow float16 (black pictures)."""
        super().place(base, device)
        assert base.vae is not None
        if base.vae.config["force_upcast"]:  # type: ignore[index]
            base.vae.float()

    def _states(
        self, base: BaseModel, tokens: "torch.Tensor", weights: "torch.Tensor | None", clip_skip: int
    ) -> "tuple[torch.Tensor, torch.Tensor | None]":
        """Encode with both encoders' layer before the last; clip_skip is ignored."""
        import torch

        from bootstrap.models.families import clip

        encoders: list[Any] = list(base.text_encoders)
        ends = tokens == base.tokenizers[0].eos_token_id
        # The second text encoder was trained with another token after the end token.
        for_second = tokens.masked_fill(ends & (ends.cumsum(dim=1) > 1), base.tokenizers[1].pad_token_id)
        first = encoders[0](tokens, output_hidden_states=True)
        second = encoders[1](for_second, output_hidden_states=True)
        states = [clip.weighted(output.hidden_states[-2], weights) for output in (first, second)]
        return torch.cat(states, dim=-1), second.text_embeds

    def unprompted(self, negative: Conditioning, empty: list[int]) -> Conditioning:
        """Set the rows of empty negative prompts to zeros, as in the model's training.

        Source: stable-diffusion-webui, modules/sd_models_xl.py, `force_zero_negative_prompt`.
        """
        assert negative.pooled is not None
        negative.states[empty] = 0.0
        negative.pooled[empty] = 0.0
        return negative

    def _embedding_tensors(
        self, tensors: "Mapping[str, NDArray[np.float32]]"
    ) -> "tuple[NDArray[np.float32], ...] | None":
        is_xl = set(tensors) == {"clip_l", "clip_g"}
        return (tensors["clip_l"], tensors["clip_g"]) if is_xl else None

    def predict(
        self,
        base: BaseModel,
        latents: "torch.Tensor",
        timesteps: "torch.Tensor",
        conditioning: Conditioning,
    ) -> "torch.Tensor":
        """Return the UNet's prediction, conditioned on original size, crop offset and target size.

        Source: Podell et al. 2023, arXiv 2307.01952, section 2.2. Pictures here count as not cropped: both sizes are
        the picture's, the offset is 0.
        """
        from bootstrap.models.families import sd_model

        height, width = (side * base.latent_factor for side in latents.shape[-2:])
        sizes = sd_model.sizes(height, width, latents.device)
        added = {"text_embeds": conditioning.pooled, "time_ids": sizes.expand(len(latents), -1)}
        return sd_model.predict(base, latents, timesteps, conditioning, added)

    def kohya_name(self, path: str, part: str) -> str:
        """Return kohya's name; the UNet's blocks are named as in the original release."""
        return super().kohya_name(kohya_names.first_release_path(path) if part == "unet" else path, part)


SDXL = StableDiffusionXL()
