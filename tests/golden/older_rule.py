"""The `sid` command as when the golden values were recorded: `python -m tests.golden.older_rule VERB ...`.

Since then new shots name a schedule, which is part of their identity and of their pictures. Shots without one keep the
older rule, and what that rule came to was recorded; here all shots are made without one. Prodigy has other options
since then, and its trainings other ids; here it has its earlier ones. This is the one file of these tests that knows
the package from inside.
"""

import runpy
from typing import Any

from bootstrap.lora import metadata
from bootstrap.shots import Shot
from bootstrap.training import identity, optimizer_options

_init = Shot.__init__


def _init_without_schedule(self: Shot, *values: Any, **named: Any) -> None:
    _init(self, *values, **named)
    if self.schedule not in ("", "Automatic"):
        object.__setattr__(self, "sampler", f"{self.sampler} {self.schedule}")
    object.__setattr__(self, "schedule", "")


_training_id = identity.training_id


def _training_id_without_options(
    examples: Any, base: Any, settings: Any, options: Any, has_chunks: bool
) -> str:
    return _training_id(examples, base, settings, None, has_chunks)


def _with_earlier_prodigy() -> None:
    optimizer_options.PRODIGY.pop("d0")
    optimizer_options.PRODIGY["safeguard_warmup"] = True
    stated = ",".join(f"{name}={value}" for name, value in optimizer_options.PRODIGY.items())
    metadata.OPTIMIZERS["Prodigy"] = f"prodigyopt.prodigy.Prodigy({stated})"
    identity.training_id = _training_id_without_options


if __name__ == "__main__":
    Shot.__init__ = _init_without_schedule
    _with_earlier_prodigy()
    runpy.run_module("bootstrap", run_name="__main__")
