"""How a message names a command of `sid`, so that a person can copy it and it works on the same workspace."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

# The folder that --workspace named, for this process and those that it starts (the app, the served flows).
_GIVEN = "SID_GIVEN_WORKSPACE"


def command(*words: str) -> str:
    """Return a command of `sid` as one types it, such as `sid run anna`: with --workspace where that was given.

    Args:
        words: the verb and its arguments; what a shell would take apart is quoted.
    """
    folder = os.environ.get(_GIVEN)
    return shlex.join(["sid", *(("--workspace", folder) if folder else ()), *words])


@contextmanager
def workspace_given(folder: str | None) -> Iterator[None]:
    """Within the block, commands name this workspace; None: the command line names none."""
    before = os.environ.pop(_GIVEN, None)
    if folder:
        os.environ[_GIVEN] = folder
    try:
        yield
    finally:
        os.environ.pop(_GIVEN, None)
        if before is not None:
            os.environ[_GIVEN] = before
