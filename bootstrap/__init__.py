"""sid: from one picture and its caption to a dataset good enough to train a full LoRA."""

import os

__version__ = "0.1.0"

# Read by the libraries when they are imported, so set before: no telemetry, and no warnings about image
# processors that nothing here uses. What the user has set stays.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
