"""sid: from one picture and its caption to a dataset good enough to train a full LoRA."""

import atexit
import gc
import os

__version__ = "0.1.0"

# Read by the libraries when they are imported, so set before. What the user has set stays.
# No telemetry, and no warnings about image processors that nothing here uses:
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
# Threads of torch that wait for each other spin for long otherwise, which is ruinous where other work wants the
# cores; but to sleep at once is slow where none does. Measured on two cores, seconds a plain training step alone and
# with a second training beside it: no spinning 0.23 and 0.24, 3,000 rounds 0.14 and 0.48, 20,000 rounds 0.13 and 1.8.
# (Small models' steps do not wait for each other's threads any more, see threads.py; large models' do.)
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

# Python looks for garbage after every 700 new objects, now and then among all that there are. Importing torch and
# diffusers makes a million that stay: looked through less often, it takes a tenth less time.
gc.set_threshold(10_000)
# And at its end it would look through all of them twice more, which takes half a second.
atexit.register(gc.freeze)
