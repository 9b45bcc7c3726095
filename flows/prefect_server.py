"""The Prefect server that `sid` starts: `python -m flows.prefect_server DESCRIPTOR`, a listening socket on loopback.

It is Prefect's own app, served as `prefect server start` serves it, behind our guard: Prefect's app answers requests
under any name, and its own setting for other origins covers neither its sockets nor forms. The login is Prefect's
(`PREFECT_SERVER_API_AUTH_STRING`, from the environment).
"""

import os
import socket
import sys

from bootstrap.serving.guard import LOOPBACK, Guard

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
_GRACE_SECONDS = 5  # for requests that are being answered when the server is stopped


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    port = listening.getsockname()[1]
    os.environ.update(
        PREFECT_SERVER_API_HOST="127.0.0.1",
        PREFECT_SERVER_API_PORT=str(port),
        PREFECT_SERVER_UI_API_URL="/api",  # its pages ask the server that they come from, under whatever name
        PREFECT_SERVER_CORS_ALLOWED_ORIGINS=f"http://127.0.0.1:{port}",
    )
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    settings = get_current_settings().server
    if settings.api.auth_string is None:
        sys.exit("PREFECT_SERVER_API_AUTH_STRING is not set")
    config = uvicorn.Config(
        Guard(create_app(final=True), hosts=LOOPBACK, headers=HEADERS),
        timeout_keep_alive=settings.api.keepalive_timeout,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ws_ping_interval=settings.api.websocket_ping_interval,
        ws_ping_timeout=settings.api.websocket_ping_timeout,
        log_level=settings.logging_level.lower(),
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    if not server.started:
        sys.exit("the Prefect server could not start")


if __name__ == "__main__":
    main()
