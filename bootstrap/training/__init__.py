"""From a dataset to the snapshots of a LoRA."""
