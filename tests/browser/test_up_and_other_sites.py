"""`sid up` while the person has a page of another web site open: it gets nothing and changes nothing.

The tests depend on their order: the last one kills it.
"""

import http.client
import http.server
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser import populate
from browser.conftest import Up

from bootstrap.catalog import Catalog, generations
from bootstrap.project import editing, running
from bootstrap.serving import own_server
from tests.flows.conftest import processes_of

pytestmark = pytest.mark.timeout(600)

# What a page can try without any login. Each attempt returns what it got; a refusal is "nothing".
_ATTACK = """async ([prefect, app, deployment]) => {
  const run = `${prefect}/api/deployments/${deployment}/create_flow_run`;
  const [json, text] = ["application/json", "text/plain"].map((kind) => ({"Content-Type": kind}));
  const order = JSON.stringify({state: {type: "SCHEDULED"}, parameters: {project: "badge"}});
  const get = (url, options) => fetch(url, options).then((answer) => answer.text()).catch(() => "nothing");
  const socket = (url, protocols) => new Promise((done) => {
    const opened = new WebSocket(url, protocols);
    opened.onopen = () => done("open");
    opened.onerror = opened.onclose = () => done("nothing");
  });
  const form = (url) => new Promise((done) => {
    const frame = document.body.appendChild(Object.assign(document.createElement("iframe"), {name: "answer"}));
    const sent = document.body.appendChild(document.createElement("form"));
    Object.assign(sent, {action: url, method: "post", enctype: "text/plain", target: "answer"});
    sent.append(Object.assign(document.createElement("input"), {name: order.slice(0, -1) + ',"x":"', value: '"}'}));
    frame.onload = () => done("nothing");
    sent.submit();
  });
  const picture = (url) => new Promise((done) => {
    const shown = Object.assign(new Image(), {onload: () => done("a picture"), onerror: () => done("nothing")});
    shown.src = url;
  });
  const sockets = [prefect.replace("http", "ws"), app.replace("http", "ws")];
  return Promise.all([
    get(`${prefect}/api/health`),
    get(`${prefect}/ui-settings`),
    get(`${prefect}/api/deployments/filter`, {method: "POST", body: "{}", headers: json}),
    get(run, {method: "POST", body: order, headers: text}),
    get(run, {method: "POST", body: order, headers: text, credentials: "include"}),
    get(run, {method: "POST", body: order, mode: "no-cors"}).then((text) => text || "nothing"),
    form(run),
    socket(`${sockets[0]}/api/events/in`, ["prefect"]),
    socket(`${sockets[0]}/api/events/out`),
    socket(`${sockets[0]}/api/logs/out`, ["prefect"]),
    get(`${app}/`),
    get(`${app}/cells/badge`, {credentials: "include"}),
    get(`${app}/_stcore/health`),
    get(`${app}/deck/badge`, {method: "POST", body: "{}", headers: text}),
    socket(`${sockets[1]}/_stcore/stream`, ["streamlit"]),
    picture(`${app}/original/badge.png`),
  ]);
}"""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """Port of another web site on this machine, with an empty page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><body></body>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield str(server.server_port)
        server.shutdown()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_another_site_gets_nothing_and_changes_nothing(
    up: Up, elsewhere: str, name: str, chromium: Any
) -> None:
    if "badge" not in up.workspace.project_names():
        populate.make_project(up.workspace.folder)
    before = _in_prefect(up)
    page = chromium.new_page()
    page.goto(f"http://{name}:{elsewhere}/")
    got = page.evaluate(_ATTACK, [up.prefect, up.app, before[0]])
    assert got == ["nothing"] * len(got)
    for url in (up.app, up.prefect):
        page.evaluate(
            "(url) => new Promise((done) => { const frame = document.createElement('iframe');"
            " frame.onload = done; frame.src = url; frame.id = 'framed'; document.body.append(frame); })",
            url,
        )
        framed = page.query_selector("#framed").content_frame()
        assert framed.url.startswith("chrome-error:")
        page.evaluate("document.getElementById('framed').remove()")
    page.context.close()
    assert _in_prefect(up) == before


def _in_prefect(up: Up) -> tuple[str, str, list[str]]:
    """Return id and time of change of the deployment, and the ids of all runs."""
    deployment = up.ask("deployments/name/bootstrap/bootstrap")
    runs = up.ask("flow_runs/filter", {})
    return deployment["id"], deployment["updated"], sorted(run["id"] for run in runs)


@pytest.mark.parametrize("path", ["/", "/api/health", "/_stcore/health", "/original/badge.png"])
def test_another_name_of_this_machine_gets_nothing(up: Up, path: str) -> None:
    for url in (up.app, up.prefect):
        place = url.partition("//")[2]
        for host, origin in (
            (f"rebound.example:{place.partition(':')[2]}", None),
            (place, "http://rebound.example"),
        ):
            connection = http.client.HTTPConnection(place, timeout=30)
            connection.request("GET", path, headers={"Host": host, **({"Origin": origin} if origin else {})})
            answer = connection.getresponse()
            assert answer.status == (403 if origin else 400), (url, path)
            assert not answer.getheader("Access-Control-Allow-Origin")
            connection.close()


def test_without_the_login_prefects_api_tells_and_does_nothing(up: Up) -> None:
    for path, body in (("deployments/filter", b"{}"), ("flow_runs/filter", b"{}"), ("version", None)):
        request = urllib.request.Request(
            f"{up.prefect}/api/{path}", body, {"Content-Type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, timeout=30)


def test_prefects_pages_open_with_the_login(up: Up, chromium: Any) -> None:
    page = chromium.new_page()
    page.goto(up.prefect)
    asked = page.locator("input[type=password]")
    asked.fill(up.login)
    with page.expect_response(lambda answer: "/api/deployments/" in answer.url and answer.ok):
        asked.press("Enter")
        asked.wait_for(state="detached")
        page.goto(f"{up.prefect}/deployments")
    page.context.close()


def test_the_login_is_in_no_log_and_on_no_command_line(up: Up) -> None:
    password = up.login.partition(":")[2]
    assert len(password) > 40
    assert (up.workspace.folder / own_server.LOGIN_FILE).stat().st_mode & 0o077 == 0
    commands = processes_of(up.workspace)
    assert len(commands) >= 4 and not any(password in command for command in commands)
    for log in [up.log, *(up.workspace.folder / "logs").iterdir()]:
        assert password not in log.read_text("utf-8", "replace"), log


def test_a_killed_up_ends_its_flow_and_the_generation_can_go_on(up: Up) -> None:
    killed = populate.make_project(up.workspace.folder, "killed")
    editing.edited(killed, {"training.repeats": 5000}).save()
    deployment = up.ask("deployments/name/bootstrap/bootstrap")["id"]
    order = {"state": {"type": "SCHEDULED"}, "parameters": {"project": "killed"}}
    up.ask(f"deployments/{deployment}/create_flow_run", order)
    catalog = Catalog(up.workspace.catalog_url)
    wait_until(lambda: generations.latest(catalog, "killed") == 1 and _state(catalog) == "training", 120)
    up.process.kill()
    up.process.wait(30)
    wait_until(lambda: not processes_of(up.workspace), 30)
    assert _state(catalog) == "cancelled"
    assert not running.is_running(killed)
    catalog.close()


def _state(catalog: Catalog) -> str:
    return str(generations.statuses(catalog, "killed")[-1].state)


def wait_until(happens: Callable[[], bool], seconds: float) -> None:
    """Wait until the function returns True."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.2)
