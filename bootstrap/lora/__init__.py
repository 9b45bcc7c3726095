"""LoRA: the file format, the modules it trains, and merging it into a base model."""
