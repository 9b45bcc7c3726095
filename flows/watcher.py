"""A process that ends what `sid` has started when `sid` itself is killed: `python -m flows.watcher SECONDS`.

It reads from a pipe which processes to watch: `+PID` and `-PID`, a line each, PID being the leader of a session. The
pipe closes with `sid`, however that ends, and no child has its other end. Then those still watched get SIGTERM, and
after these seconds SIGKILL with all that they have started: flow runs that wait for a server which is gone, too.
"""

import os
import signal
import sys
import time
from contextlib import suppress


def main() -> None:
    """Watch until the pipe closes, then end what is still watched."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watched: list[int] = []
    for line in sys.stdin:
        change, process = line[0], int(line[1:])
        if change == "+":
            watched.append(process)
        else:
            watched.remove(process)
    for process in watched:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + float(sys.argv[1])
    while any(map(is_left, watched)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in watched:
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)


def is_left(leader: int) -> bool:
    """Return whether any process of this leader's group is left."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
