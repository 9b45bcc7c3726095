"""Limits of a shot's parameters: for settings, recipes and commands, as for the shots that pictures carry."""

# Limits of a LoRA's strength when a finished picture is drawn again. Below 0 the picture moves away from what the LoRA
# has learnt, as with <lora:name:-1>; recipes want what it has learnt, and allow 0 to 2.
LEAST_STRENGTH, MOST_STRENGTH = -2.0, 2.0
MOST_NAMED_STRENGTH = 1000.0  # of a LoRA that a prompt names, on either side of 0
# Limits of the other parameters, for settings as for the shots that pictures carry.
MOST_STEPS, MOST_CLIP_SKIP = 150, 12
LEAST_CFG_SCALE, MOST_CFG_SCALE = 1.0, 30.0
MOST_PIXELS = (
    64_000_000  # of a picture, as bootstrap.images.MAX_PIXELS: a larger one could not be opened again
)
MOST_MASK_BLUR, MOST_MASK_PADDING = 64, 256  # pixels
MOST_NETWORKS = 100  # LoRAs, and embeddings, of a shot
