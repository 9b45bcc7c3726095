"""`sid up` in a real browser: a whole project without another command, and pages of other web sites, which get nothing.

The tests share one `sid up` and depend on their order: the last one kills it.
"""

import http.client
import http.server
import io
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import populate
from browser.conftest import Up, Visitor
from PIL import Image

import bootstrap
from bootstrap.catalog import Catalog, candidates, generations, picks
from bootstrap.project import editing, running
from bootstrap.project.projects import Project, Workspace
from bootstrap.serving import own_server
from tests.flows.conftest import processes_of

pytestmark = pytest.mark.timeout(600)

_ORIGINALS = Path(bootstrap.__file__).parent / "papertown" / "originals"
_RUN_MILLISECONDS = 240_000
# Four steps per epoch and eight pictures, so that a generation takes seconds; everything else is the default.
_SMALL = {
    "training.repeats": 8, "training.train_batch_size": 2, "training.epochs": 4, "training.network_dim": 8,
    "drawing.steps": 4, "recipe[1].count": 4, "recipe[2].count": 4,
}  # fmt: skip

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


def test_a_whole_project_without_a_terminal(up: Up, chromium: Any, tmp_path: Path) -> None:
    workspace, url = up.workspace, up.app
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, locale="en-GB")
    context.set_default_timeout(60_000)
    visitor = Visitor(context.new_page(), url)
    try:
        make_project(visitor, workspace, tmp_path)
        made = workspace.project("crown")
        kept = visitor.page.request.get(f"{url}/_stcore/metrics?families=cache_memory_bytes").text()
        assert "# EOF" in kept and "UploadedFileManager" not in kept
        set_schedule(visitor)
        run_and_cancel(visitor, made)
        review(visitor, made)
        grow_and_run_again(visitor, made)
        export(visitor, made)
    finally:
        context.close()
    assert visitor.errors == []
    assert visitor.foreign == []
    assert {run["deployment_id"] for run in up.ask("flow_runs/filter", {})} == {
        up.ask("deployments/name/bootstrap/bootstrap")["id"]
    }


def make_project(visitor: Visitor, workspace: Workspace, folder: Path) -> None:
    page = visitor.page
    visitor.open("/")
    page.get_by_role("button", name="Create a project").click()
    wrong = folder / "crown '<b>x\U0001f451'.png"
    wrong.write_bytes(b"no picture")
    page.locator("input[type=file]").set_input_files(wrong)
    page.get_by_text("crown '<b>x\U0001f451'.png: not a picture").wait_for()
    # What a phone sends: turned by EXIF only.
    turned = folder / "crown.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(_ORIGINALS / "crown.png") as picture:
        wide = picture.convert("RGB").resize((192, 128))
        wide.save(turned, exif=exif, quality=95)
    page.locator("input[type=file]").set_input_files(turned)
    page.get_by_text("128×192 pixels").wait_for()
    page.get_by_label("Caption", exact=True).fill((_ORIGINALS / "crown.txt").read_text().strip())
    page.get_by_role("button", name="Create the project").click()
    page.get_by_text("Ready for the first generation").wait_for()
    made = workspace.project("crown")
    assert made.settings.project.tags[:2] == ["woman", "long straight brown hair"]
    with Image.open(made.original) as original:
        assert (original.size, original.format) == ((128, 192), "PNG")
        assert not original.getexif()
    # The forms have tests of their own; here they change one setting and one recipe.
    visitor.open("/settings?project=crown")
    page.get_by_role("tab", name="Training").click()
    page.get_by_label("Repeats", exact=True).fill("9")
    page.locator(".st-key-save-settings-training button").click()
    page.get_by_text("Saved: repeats").wait_for()
    visitor.open("/recipes?project=crown")
    page.get_by_role("button", name="Change").first.click()
    page.get_by_label("Count", exact=True).fill("5")
    page.get_by_role("button", name="Save").click()  # at once: what was typed last counts
    page.get_by_text("5 shots").wait_for()
    reread = workspace.project("crown").settings
    assert (reread.training.repeats, reread.recipe[0].count) == (9, 5)
    editing.edited(made, _SMALL).save()


def set_schedule(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/schedule")
    page.get_by_text("No schedule yet").wait_for()
    page.get_by_role("button", name="Save the schedule").click()
    page.get_by_text("Next run:").wait_for()
    page.get_by_text("Every night at 01:00").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("heading", name="Paused").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("Next run:").wait_for()
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("No schedule yet").wait_for()


def run_and_cancel(visitor: Visitor, made: Project) -> None:
    page = visitor.page
    visitor.open("/generations?project=crown")
    page.get_by_role("button", name="Start a generation").click()
    page.get_by_text("Training · ").first.wait_for(timeout=_RUN_MILLISECONDS)
    page.get_by_text("Log of the run").click()
    page.get_by_text("project 'crown': generation 1").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Generation 1 was cancelled").wait_for(timeout=_RUN_MILLISECONDS)
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("Generation 1 · Published").first.wait_for(timeout=_RUN_MILLISECONDS)
    page.get_by_text("Contact sheet").click()
    page.locator("img.sid-sheet").wait_for()
    assert state(made, 1) == "published"


def review(visitor: Visitor, made: Project) -> None:
    """Accept the first picture and reject another with the keys."""
    page = visitor.page
    page.get_by_role("button", name="Review").click()
    page.locator("img[alt^=Candidate]").first.wait_for()
    decide(visitor, made, "ArrowRight", "accept")
    decide(visitor, made, "ArrowLeft", "reject")


def decide(visitor: Visitor, made: Project, key: str, verdict: str) -> None:
    """Press a key until it has decided: on a busy machine the page may still be loading the next picture."""
    catalog = Catalog(made.workspace.catalog_url)
    deadline = time.monotonic() + 90
    while not candidates.candidates(catalog, made.name, verdict=verdict):
        assert time.monotonic() < deadline
        visitor.page.keyboard.press(key)
        visitor.page.wait_for_timeout(3000)
    catalog.close()


def grow_and_run_again(visitor: Visitor, made: Project) -> None:
    page = visitor.page
    visitor.open("/generations?project=crown")
    page.get_by_text("What was accepted").wait_for()
    page.get_by_role("button", name="Grow and start the next generation").click()
    page.get_by_text("Generation 2 · Published").first.wait_for(timeout=_RUN_MILLISECONDS)
    assert (state(made, 1), state(made, 2)) == ("grown", "published")
    visitor.open("/training?project=crown")
    page.get_by_text("Generation 2: 4 snapshots").wait_for()


def export(visitor: Visitor, made: Project) -> None:
    page = visitor.page
    visitor.open("/dataset?project=crown")
    page.get_by_text("Dataset of 2 pictures").wait_for()
    visitor.settle()
    page.get_by_label("Tags to add at the end").click()
    page.keyboard.type("<img src=x onerror=alert(1)>")
    page.get_by_role("option", name="Add: <img").click()
    page.keyboard.press("Escape")  # the list of tags stays open
    page.get_by_role("button", name="Apply to all 1 shown").click()
    page.get_by_role("button", name="Undo: 1 caption changed").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as a zip file").click()
    packed = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes()))
    names = sorted(packed.namelist())
    assert len([one for one in names if one.endswith(".png")]) == 2
    [pick] = picks.picks(Catalog(made.workspace.catalog_url), made.name)
    text = next(one for one in names if one.endswith(f"{pick.candidate_id}.txt"))
    assert packed.read(text).decode().strip() == pick.caption
    assert pick.caption.endswith(", <img src=x onerror=alert(1)>")


def state(made: Project, number: int) -> str:
    catalog = Catalog(made.workspace.catalog_url)
    state = generations.statuses(catalog, made.name)[number - 1].state
    catalog.close()
    return state


# ---- pages of other web sites, and the end


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
    assert len(commands) >= 4 and not any(password in command for command in commands.values())
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
