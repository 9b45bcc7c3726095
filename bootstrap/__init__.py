"""sid: from one picture and its caption to a dataset good enough to train a full LoRA."""

import atexit
import gc
import os

__version__ = "0.1.0"

# The libraries read these variables at import, so they are set here first; the user's own values stay.
# No telemetry, and no warnings about image processors that nothing here uses:
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # of ONNX Runtime, which diffusers imports if it is there
os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect, and whatever else heeds it
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
# By default, torch's threads spin for long while they wait for each other, which is ruinous if other work needs the
# cores; but sleeping at once is slow on an idle machine. Measured on two cores, seconds per eager training step alone
# and next to a second training: no spinning 0.23 and 0.24, 3,000 rounds 0.14 and 0.48, 20,000 rounds 0.13 and 1.8.
# (In the steps of small models threads no longer wait for each other, see models/small_cpu/threads.py.)
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

# Python collects garbage after every 700 new objects, and sometimes scans all objects. Importing torch and diffusers
# creates a million objects that stay; with fewer collections the import takes a tenth less time.
gc.set_threshold(10_000)
# At exit Python would scan all of them twice more, which takes half a second.
atexit.register(gc.freeze)
