"""Do something in a forked process that dies, without any cleanup, right before a certain change of the disk."""

import itertools
import os
import traceback
from collections.abc import Callable, Iterator

import sqlalchemy as sa

_CHANGES = ("rename", "replace", "mkdir", "rmdir", "unlink", "fsync")
_KILLED = 9


def steps(act: Callable[[], object], prepare: Callable[[], object]) -> Iterator[int]:
    """Call `prepare`, then `act` in a process that dies before its first change, and yield 1; and so on.

    A change is a call of the operating system that renames, makes, removes or flushes something, or a commit to the
    catalog. The last number is that of an `act` that was not killed.
    """
    for step in itertools.count(1):
        prepare()
        child = os.fork()
        if child == 0:
            try:
                _die_before(step)
                act()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, _KILLED)
        yield step
        if code == 0:
            return


def _die_before(step: int) -> None:
    left = itertools.count(step - 1, -1)

    def check(*_: object) -> None:
        if next(left) == 0:
            os._exit(_KILLED)

    for name in _CHANGES:
        setattr(os, name, _checked(getattr(os, name), check))
    sa.event.listen(sa.Engine, "commit", check)


def _checked(call: Callable[..., object], check: Callable[[], None]) -> Callable[..., object]:
    def checked(*arguments: object, **named: object) -> object:
        check()
        return call(*arguments, **named)

    return checked
