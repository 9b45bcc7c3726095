"""The web server: Streamlit's app, and the routes beside it."""

import importlib
import logging
import os
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from streamlit import net_util

from bootstrap.catalog.generations import statuses
from bootstrap.errors import UserError
from bootstrap.serving import http
from review_app import uploads
from review_app.assets import Assets
from review_app.error_dialogs import NoErrorDialogs
from review_app.guarding import guard
from review_app.login import LoginRequired
from review_app.login import routes as login_routes
from review_app.login_settings import FILE, Login
from review_app.reviewers import Unclaimed
from review_app.routes import machine_problems, routes
from review_app.theme import THEME
from review_app.workspace import catalog_of, workspace

# Not beside the folder `pages`: Streamlit would run the files in that folder as pages of its older kind.
SCRIPT = Path(__file__).parent / "pages" / "app.py"


def settings(address: str, port: int) -> dict[str, Any]:
    """Return Streamlit's settings: private and quiet; they override the user's config.toml."""
    return {
        "server.address": address,
        "server.port": port,
        "server.headless": True,  # asks no questions on the first start; the browser is opened below
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.maxUploadSize": uploads.MAX_MEGABYTES,
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,  # which means: other origins may not read its answers
        "server.corsAllowedOrigins": [],
        "server.enableAgentApi": False,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorLinks": False,
        "runner.magicEnabled": False,
        "logger.hideWelcomeMessage": True,
        "logger.level": "warning",
        **THEME,
    }


def serve(
    address: str, port: int, login: Login | None, named: Sequence[str], browse: str | None = None
) -> None:
    """Serve the app until the process receives a signal to stop; open the URL `browse` once the server answers.

    Args:
        address: to listen on.
        port: to listen on.
        login: who may use it; None: everybody on this machine.
        named: further names under which people reach it.
        browse: the URL; None: open none.
    """
    _quiet_uvicorn()
    look_nothing_up()
    threading.Thread(target=_prepare, name="prepare", daemon=True).start()
    if browse and _has_display():
        threading.Thread(target=_open_when_ready, args=(browse,), daemon=True).start()
    app(login, address, named).run(config=settings(address, port))


def app(login: Login | None = None, address: str = "127.0.0.1", named: Sequence[str] = ()) -> st.App:
    """Return the ASGI app: pages and routes, behind the guard and the login, if any; see `serve`."""
    own_routes = [*routes(), *(login_routes(login) if login else [])]
    return st.App(
        SCRIPT, routes=own_routes, middleware=middleware(login, address, named),
        exception_handlers=machine_problems(),
    )  # fmt: skip


def middleware(
    login: Login | None = None, address: str = "127.0.0.1", named: Sequence[str] = ()
) -> list[Middleware]:
    """Return what a request passes before it reaches the app, the outermost first; see `serve`."""
    # Without the file's folder: a page of another site may read this.
    advice = f"; if it is yours, add it to hosts under [server] in the workspace's {FILE}"
    required = [Middleware(LoginRequired, login=login)] if login else []
    return [
        guard(address, named, advice),
        Middleware(Unclaimed),
        *required,
        Middleware(NoErrorDialogs),
        Middleware(Assets),
    ]


def look_nothing_up() -> None:
    """Keep Streamlit from asking a web service for this machine's address, to compare a foreign page's origin with it.

    It would ask at each websocket of a page that was served by another address than this machine's own. No setting
    forbids it; without an answer, Streamlit refuses the origin.
    """
    net_util.get_external_ip = lambda: None


def _prepare() -> None:
    """Do early what the first page would wait for: half a second of imports, and opening the catalog."""
    importlib.import_module("pandas")  # Streamlit needs it for any component's data

    from review_app.pages import generations, grid, review  # noqa: F401

    with suppress(UserError):  # the page reports it
        for name in workspace().project_names()[:1]:
            project = workspace().project(name)
            statuses(catalog_of(project), name)


def _quiet_uvicorn() -> None:
    # Its start-up lines name an address that people mistake for the one to open. Warnings are still shown.
    from uvicorn.config import LOGGING_CONFIG

    for logger in ("uvicorn", "uvicorn.error"):
        LOGGING_CONFIG["loggers"][logger]["level"] = "WARNING"
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _has_display() -> bool:
    # Without one, `webbrowser` would start a text browser in the terminal that the server runs in.
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_when_ready(url: str) -> None:
    for _ in range(60):
        if http.answers(f"{url}/_stcore/health"):
            webbrowser.open(url)
            return
        time.sleep(0.5)
