"""LoRA files: their formats, the modules that they train, and merging them into a base model."""
