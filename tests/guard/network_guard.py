"""Refuse and record what a process asks of other machines: names to look up, connections, datagrams.

It goes by Python's audit events, so it does not see what libraries of other languages do by themselves. A watched
process is one that `watched` made the environment of, and so are the Python processes that it starts.
"""

import contextlib
import ipaddress
import os
import socket
import sys
from pathlib import Path

_RECORD = "SID_TEST_ASKED"  # the file to write to
# What a user's own environment has not set, and what tells libraries that they run in a test.
_UNSET = (
    "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "ORT_DISABLE_TELEMETRY", "DO_NOT_TRACK",
    "PREFECT_SERVER_ANALYTICS_ENABLED", "CI", "GITHUB_ACTIONS",
)  # fmt: skip
_ASKING = {
    "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.connect", "socket.sendto",
    "socket.sendmsg",
}  # fmt: skip


def watched(environment: dict[str, str], record: Path) -> dict[str, str]:
    """Return the environment of a process that is watched, without the variables that keep libraries quiet."""
    here = str(Path(__file__).parent)
    paths = [here, *filter(None, [environment.get("PYTHONPATH")])]
    kept = {name: value for name, value in environment.items() if name not in _UNSET}
    return kept | {"PYTHONPATH": os.pathsep.join(paths), _RECORD: str(record)}


def asked(record: Path) -> list[str]:
    """Return what watched processes asked of other machines, a line each."""
    return record.read_text("utf-8").splitlines() if record.exists() else []


def watch() -> None:
    """Watch this process, if its environment says so."""
    record = os.environ.get(_RECORD)
    if record is None:
        return

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event not in _ASKING:
            return
        address = arguments[0] if event.startswith("socket.get") else arguments[1]
        if event == "socket.connect" and getattr(arguments[0], "type", None) == socket.SOCK_DGRAM:
            return  # it sends nothing; Streamlit learns its own address in the local network by it
        host = address[0] if isinstance(address, tuple) else address
        if _is_of_this_machine(host):
            return
        with Path(record).open("a", encoding="utf-8") as lines:
            lines.write(f"{Path(sys.argv[0] or '?').name}: {event} {address!r}\n")
        raise OSError(f"{event} {address!r}: the test forbids it")

    sys.addaudithook(refuse)


def _is_of_this_machine(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if not isinstance(host, str) or host in ("", "localhost") or host.startswith("/"):
        return True  # no address of a network, such as a socket file's
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_unspecified
    return False
