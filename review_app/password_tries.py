"""Wrong passwords: each further one from an address takes longer, which nobody else notices."""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

_LONGEST_SECONDS = 30.0
_FORGOTTEN_SECONDS = 900  # without another wrong password
_MOST_ADDRESSES = 1000  # the one that has been quiet for longest is forgotten
_MOST_AT_ONCE = 8  # answers that an address waits for; else it would try many passwords side by side


class Tries:
    """The wrong passwords of each address. Used by one event loop only."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and when the last was
        self._waiting: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many addresses are remembered."""
        return len(self._wrong)

    @contextmanager
    def one(self, address: str) -> Iterator[bool]:
        """Yield whether a password of this address is looked at: not if the address waits for too many answers."""
        key = _network(address)
        self._waiting[key] = self._waiting.get(key, 0) + 1
        try:
            yield self._waiting[key] <= _MOST_AT_ONCE
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]

    async def hold_back(self, address: str, seconds: float) -> None:
        """Wait before a wrong password of this address is answered.

        Args:
            address: the IP address.
            seconds: for the first; each further one doubles it, up to half a minute.
        """
        key, now = _network(address), time.monotonic()
        before, last = self._wrong.pop(key, (0, now))
        count = before + 1 if now - last < _FORGOTTEN_SECONDS else 1
        self._wrong[key] = (count, now)
        while len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)
        await asyncio.sleep(min(_LONGEST_SECONDS, seconds * 2 ** min(count - 1, 10)))

    def forget(self, address: str) -> None:
        """Forget the wrong passwords of an address, after the right one."""
        self._wrong.pop(_network(address), None)


def _network(address: str) -> str:
    """Return the address, or the network of an IPv6 address, of which one person has 2**64 addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network(f"{parsed}/64", strict=False)) if parsed.version == 6 else str(parsed)
