"""From prompt text to the embeddings that the UNet reads."""
