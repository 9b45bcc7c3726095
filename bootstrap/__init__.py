"""sid: from one picture and its caption to a dataset good enough to train a full LoRA."""

__version__ = "0.1.0"
