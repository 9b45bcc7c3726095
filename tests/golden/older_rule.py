"""The `sid` command as before the noise schedule was a setting: `python -m tests.golden.older_rule VERB ...`.

Since then new shots name a schedule, which is part of their identity and of their pictures. Shots without one keep the
older rule, and what that rule came to was recorded; here all shots are made without one. This is the one file of these
tests that knows the package from inside.
"""

import runpy
from typing import Any

from bootstrap.shots import Shot

_init = Shot.__init__


def _init_without_schedule(self: Shot, *values: Any, **named: Any) -> None:
    _init(self, *values, **named)
    if self.schedule not in ("", "Automatic"):
        object.__setattr__(self, "sampler", f"{self.sampler} {self.schedule}")
    object.__setattr__(self, "schedule", "")


if __name__ == "__main__":
    Shot.__init__ = _init_without_schedule
    runpy.run_module("bootstrap", run_name="__main__")
