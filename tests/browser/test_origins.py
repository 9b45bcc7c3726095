"""A page of another site opens the app's websocket."""

import http.client
from typing import Any

from tests.guard import network_guard


def test_another_sites_page_is_refused_without_asking_who_we_are(app: Any) -> None:
    """Streamlit would ask a web service for this machine's address, to compare the site with it."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    headers = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "c2l4dGVlbi1ieXRlcy0hIQ==", "Origin": "http://elsewhere.example",
    }  # fmt: skip
    connection.request("GET", "/_stcore/stream", headers=headers)
    assert connection.getresponse().status == 403
    connection.close()
    assert network_guard.asked(app.asked) == []
