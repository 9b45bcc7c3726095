"""Sizes of the flow-matching models that their configurations do not state. Does not import torch."""

Z_IMAGE_BLOCK = 32  # Z-Image's transformer fills a text, and a picture, up to a multiple of this many tokens
# FLUX.2: pixels of the VAE's latents that become one latent pixel with four times the channels, along each side.
FLUX2_PACKED = 2
