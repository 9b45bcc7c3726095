"""Run a command that ends when its parent does: `python -m flows.leash PARENT COMMAND...`.

A process that is killed with SIGKILL cannot stop its children. On Linux the kernel does it: it sends SIGTERM
to this process, which has become the command by then. On other systems the command runs without the leash.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for the signal, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        if os.getppid() != parent:  # it died before the kernel knew of the wish
            sys.exit(143)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
