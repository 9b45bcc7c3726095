"""Run a command that ends when its parent ends: `python -m flows.leash PARENT COMMAND...`.

A process killed with SIGKILL cannot stop its children. On Linux the kernel can: it sends SIGTERM to this process,
which has become the command by then. On other systems the command outlives its parent.
"""

import ctypes
import os
import signal
import sys

PARENT = "SID_SERVED_BY"  # environment variable: id of the process whose flow runs end when it ends
_PR_SET_PDEATHSIG = 1
_is_tied = False  # whether this process runs a served flow


def end_with(parent: int) -> None:
    """Have the kernel send SIGTERM to this process as soon as the parent is gone."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # the parent ended before prctl was called
        os.kill(os.getpid(), signal.SIGTERM)


def end_with_server_of_flows() -> None:
    """End with the serving process if this process runs a served flow; a foreground run is not affected."""
    global _is_tied
    parent = os.environ.get(PARENT)
    if parent is not None and int(parent) == os.getppid():
        _is_tied = True
        end_with(int(parent))


def is_torn() -> bool:
    """Return whether this process runs a served flow and the serving process is gone, however it has ended."""
    parent = os.environ.get(PARENT)
    return _is_tied and parent is not None and int(parent) != os.getppid()


def main() -> None:
    """Call `end_with`, then become the command."""
    end_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
