"""Give every hostile input to `sid` in a fork of this process, and print what became of it as JSON, one line each.

    python -m tests.hostile.zygote FOLDER < A JSON LIST OF CASES' IDS

It imports everything and loads the model once, so that a fork takes tens of milliseconds. Each fork has a folder with a
workspace of its own, 1 GiB of memory beyond what it starts with, and 10 s of processor time.
"""

import asyncio
import json
import os
import resource
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bootstrap  # noqa: F401  (imported first: it sets how torch's threads wait)
from tests.hostile import inputs
from tests.hostile.case import BUSY, HERE, Case, Web

ARCHIVE = Path(__file__).parents[1] / "golden" / "workspace-a76663c.zip"
MEMORY = 2**30  # bytes beyond what the process has when it meets the input
SECONDS = 10  # of processor time
PATIENCE = 120  # seconds until a process counts as one that waits for ever
AT_ONCE = 2
_OUTPUT = 4_000_000  # characters of a process's output that are kept


def main(folder: Path, wanted: set[str]) -> None:
    """Run the cases of these ids."""
    workspace = folder / "workspace"
    shutil.unpack_archive(ARCHIVE, workspace)
    _import_everything(workspace)
    busy = socket.create_server(("127.0.0.1", 0))
    running: dict[int, tuple[Case, Path, dict[str, Any], float]] = {}
    for number, case in enumerate(case for case in inputs.all_cases() if case.id in wanted):
        here = folder / str(number)
        shutil.copytree(workspace, here / "workspace")
        # Named before the fork, so that the parent can look at them when the fork is dead.
        process = os.fork()
        if not process:
            _meet(case, here, busy.getsockname()[1])
        running[process] = (case, here, {}, time.monotonic())
        if len(running) == AT_ONCE:
            _report_one(running)
    while running:
        _report_one(running)


def _import_everything(workspace: Path) -> None:
    import pkgutil
    from contextlib import suppress
    from importlib import import_module

    for package in ("bootstrap", "review_app"):
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__") and ".pages." not in module.name:
                with suppress(ImportError):  # of an extra
                    import_module(module.name)
    from bootstrap.catalog import Catalog
    from bootstrap.cli import main as command
    from bootstrap.models import loading, specs
    from bootstrap.pictures.tagging import open_tagger

    command._load_verbs()
    loading.hold(specs.find("papertown"))
    open_tagger(None)
    Catalog(f"sqlite:///{workspace / 'catalog.sqlite'}").close()
    for left in (*workspace.glob("catalog.sqlite-*"), *workspace.glob(".*.lock")):
        left.unlink()
    alive = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    assert not alive, f"a fork would lose {alive}"


# ---- in the fork


def _meet(case: Case, here: Path, busy: int) -> None:
    """Run the case in this process, which ends with the case's exit code."""
    code = 1
    try:
        os.chdir(here)
        os.environ.update({"SID_WORKSPACE": str(here / "workspace"), **case.environment})
        if case.prepare:
            case.prepare(here)
        (here.parent / f"{here.name}.before").write_text(json.dumps(_fingerprint(here)))
        for stream, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
            path = os.devnull if not stream else str(here.parent / f"{here.name}.{stream}")
            os.dup2(os.open(path, mode | os.O_CREAT, 0o644), stream)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(stream, mode, encoding="utf-8", errors=errors)
            for stream, mode, errors in (
                (0, "r", "strict"),
                (1, "w", "surrogateescape"),
                (2, "w", "backslashreplace"),
            )
        )
        _limit()
        if case.web is not None:
            _ask(case.web, here)
            code = 0
        else:
            from bootstrap.cli import main as command

            given = [text.replace(HERE, str(here)).replace(BUSY, str(busy)) for text in case.arguments]
            sys.argv = ["sid", *given]
            try:
                command.main()
            except SystemExit as left:
                code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    signal.alarm(PATIENCE)


def _ask(web: Web, here: Path) -> None:
    """Hand a request to the app's routes, and print the answer's status, headers and the start of its body."""
    from starlette.applications import Starlette

    from review_app.routes import routes

    sent: list[dict[str, Any]] = []
    parts = [web.body[start : start + 65536] for start in range(0, len(web.body), 65536)] or [b""]

    async def receive() -> dict[str, Any]:
        body = parts.pop(0) if parts else b""
        return {"type": "http.request", "body": body, "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    path = web.path.replace(HERE, str(here))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": web.method, "scheme": "http",
        "path": path, "raw_path": path.encode("utf-8", "surrogateescape"), "root_path": "", "query_string": web.query,
        "headers": [(b"host", b"localhost:8501"), *web.headers], "client": ("127.0.0.1", 1),
        "server": ("localhost", 8501), "state": {},
    }  # fmt: skip
    asyncio.run(Starlette(routes=routes())(scope, receive, send))  # type: ignore[arg-type]
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    body = b"".join(message.get("body", b"") for message in sent)
    print(status, len(body))
    if status >= 400:
        print(body.decode("utf-8", "replace"))


# ---- in the parent


def _fingerprint(here: Path) -> dict[str, list[int]]:
    """Return what tells whether a file has changed, without those of the catalog and the locks."""
    return {
        str(path.relative_to(here)): [status.st_ino, status.st_size, status.st_mtime_ns]
        for path in _walk(here)
        if not path.name.startswith("catalog.sqlite") and not path.name.endswith(".lock")
        for status in (path.lstat(),)
    }


def _walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path)
        else:
            yield path


def _report_one(running: dict[int, tuple[Case, Path, dict[str, Any], float]]) -> None:
    """Wait until a fork ends, and print what became of its case."""
    process, status, used = os.wait3(0)
    case, here, _, began = running.pop(process)
    before_file = here.parent / f"{here.name}.before"
    before = json.loads(before_file.read_text()) if before_file.is_file() else {}
    after = _fingerprint(here)
    out, err = (_text(here.parent / f"{here.name}.{stream}") for stream in (1, 2))
    result = {
        "id": case.id,
        "exits": case.exits,
        "exit": os.waitstatus_to_exitcode(status),
        "seconds": round(time.monotonic() - began, 2),
        "cpu": round(used.ru_utime + used.ru_stime, 3),
        "out": out,
        "err": err,
        "changed": sorted(
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        ),
        "files": sorted(after),
        "prepared": before_file.is_file(),
    }
    print(json.dumps(result), flush=True)
    shutil.rmtree(here, ignore_errors=True)


def _text(path: Path) -> str:
    return path.read_bytes()[:_OUTPUT].decode("utf-8", "surrogateescape") if path.is_file() else ""


if __name__ == "__main__":
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    main(Path(sys.argv[1]), set(json.load(sys.stdin)))
