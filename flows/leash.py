"""Run a command that ends when its parent does: `python -m flows.leash PARENT COMMAND...`.

A process that is killed with SIGKILL cannot stop its children. On Linux the kernel does it: it sends SIGTERM
to this process, which has become the command by then. On other systems the command runs without the leash.
"""

import ctypes
import os
import signal
import sys

PARENT = "SID_SERVED_BY"  # environment variable: the process whose end is the end of the flows that it serves
_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Let the kernel send this process SIGTERM as soon as the parent is gone."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it died before the kernel knew of the wish
        os.kill(os.getpid(), signal.SIGTERM)


def end_with_server_of_flows() -> None:
    """Do so if this process runs a served flow; a run in the foreground has its own life."""
    parent = os.environ.get(PARENT)
    if parent is not None and int(parent) == os.getppid():
        end_with(int(parent))


def main() -> None:
    """Put on the leash, then become the command."""
    end_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
