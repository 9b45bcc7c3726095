"""sid: from one picture and its caption to a dataset good enough to train a full LoRA."""

import os

__version__ = "0.1.0"

# Read by the libraries when they are imported, so set before. What the user has set stays.
# No telemetry, and no warnings about image processors that nothing here uses:
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
# Threads of torch that wait for each other spin otherwise. Measured on two cores with other work on them: 50
# training steps took 163 s with spinning threads and 42 s with sleeping ones.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
