"""The zoom of the deck in real Chromium: with fingers, wheel, mouse and keys; and what the deck does beside it."""

import signal
from collections.abc import Callable
from typing import Any

import rows
from browser import populate

from bootstrap.catalog import Catalog

# Where the picture is drawn: left, top and width of each pane's picture in pixels of the window.
PLACES = """(zoom) => [...zoom.querySelectorAll(".pane:not([hidden]) img")].map((image) => {
    const { left, top, width } = image.getBoundingClientRect();
    return [left, top, width].map(Math.round);
})"""


def fingers(visitor: Any, *paths: tuple[tuple[float, float], tuple[float, float]]) -> None:
    """Put one finger on the screen for each path, and move all of them in four steps to the ends."""
    network = visitor.page.context.new_cdp_session(visitor.page)
    for step in range(5):
        points = [
            {"x": a[0] + (b[0] - a[0]) * step / 4, "y": a[1] + (b[1] - a[1]) * step / 4, "id": number}
            for number, (a, b) in enumerate(paths)
        ]
        kind = "touchMove" if step else "touchStart"
        network.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    network.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_on_a_phone_the_zoom_is_left_by_a_tap_or_a_button_and_no_swipe_decides(
    app: Any, visitors: Callable[[], Any]
) -> None:
    made = populate.make_project(app.workspace, "phone")
    first, second, third = populate.add_generation(made, 3)
    visitor = visitors()
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.open("/?project=phone")
    visitor.expect_shown(first)
    deck, zoom = visitor.page.locator(".deck"), visitor.page.locator(".zoom")
    deck.get_by_role("button", name="Zoom").click()
    zoom.get_by_role("button", name="Close").click()
    zoom.wait_for(state="hidden")

    deck.get_by_role("button", name="Zoom").click()
    middle = (195.0, 420.0)
    fingers(visitor, (middle, (355.0, 420.0)))  # a swipe
    assert zoom.is_visible() and visitor.shown() == first
    fingers(
        visitor, ((175.0, 420.0), (95.0, 420.0)), ((215.0, 420.0), (295.0, 420.0))
    )  # two fingers move apart
    [(_, _, wide)] = zoom.evaluate(PLACES)
    assert wide > 2.5 * 390
    fingers(visitor, (middle, (255.0, 470.0)))  # one finger moves it
    [(left, top, still)] = zoom.evaluate(PLACES)
    assert still == wide
    fingers(visitor, (middle, (235.0, 450.0)))
    assert zoom.evaluate(PLACES) != [[left, top, wide]]
    fingers(visitor, (middle, middle))  # a tap
    zoom.wait_for(state="hidden")
    assert visitor.shown() == first

    deck.get_by_role("button", name="Zoom").click()
    zoom.get_by_role("button", name="Accept").click()  # its buttons decide
    visitor.expect_shown(second)
    assert zoom.is_visible()
    zoom.get_by_role("button", name="Close").click()
    box = deck.locator(".candidate .frame").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 60
    fingers(visitor, ((x - 10, y), (x + 80, y)), ((x + 10, y), (x + 100, y)))  # no swipe: these are two
    zoom.wait_for()
    assert visitor.shown() == second
    visitor.press("Escape", "r")
    visitor.expect_shown(third)
    visitor.expect_sent()
    assert populate.given(made) == [(first, "accept", ""), (second, "reject", "")]


def test_two_pictures_are_enlarged_and_moved_together(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "pair")
    ids = populate.add_generation(made, 3)
    catalog = Catalog(made.workspace.catalog_url)
    rows.change(catalog, "candidate", [ids[2]], state="duplicate", duplicate_of=ids[1])
    catalog.close()
    visitor.open("/?project=pair")
    visitor.expect_shown(ids[0])
    zoom, mouse = visitor.page.locator(".zoom"), visitor.page.mouse
    visitor.press("z", "c")
    assert zoom.locator(".pane:visible img").evaluate_all("(all) => all.map((one) => one.alt)") == [
        "This candidate: vary",
        "Original",
    ]
    zoom.get_by_role("button", name="100 %").click()
    (left, top, wide), (beside, _, also) = zoom.evaluate(PLACES)
    assert (wide, also, zoom.locator(".percent").inner_text()) == (128, 128, "100 %")
    offset = beside - left
    mouse.move(left + 30, top + 30)
    mouse.wheel(0, -2000)
    (left, top, wide), (beside, level, also) = zoom.evaluate(PLACES)
    assert wide == also > 1500 and abs(beside - left - offset) <= 1 and level == top
    mouse.down()
    mouse.move(500, 500, steps=3)
    mouse.up()
    (moved, down, still), (with_it, _, _) = zoom.evaluate(PLACES)
    assert still == wide and (moved, down) != (left, top) and abs(with_it - moved - offset) <= 1
    visitor.press("Shift+ArrowRight")
    assert zoom.evaluate(PLACES)[0][0] < moved
    visitor.press("-", "a")  # the next one is shown at the same place
    visitor.expect_shown(ids[1])
    assert zoom.evaluate(PLACES)[0][2] in range(round(wide / 1.25) - 2, round(wide / 1.25) + 3)
    menus = zoom.get_by_role("combobox")
    menus.nth(0).select_option("Look-alike 1")
    menus.nth(1).select_option("The one before")
    sources = zoom.locator(".pane:visible img").evaluate_all(
        "(all) => all.map((one) => one.src.split('/').at(-1))"
    )
    assert sources == [f"{ids[2]}.png", f"{ids[0]}.png"]
    visitor.press("Space")
    assert zoom.locator(".pane:visible .name").all_inner_texts() == ["The one before", "Look-alike 1"]
    visitor.press("z")
    zoom.wait_for(state="hidden")
    visitor.page.locator(".deck .slot").dblclick()
    zoom.wait_for()
    visitor.press("Escape")
    zoom.wait_for(state="hidden")


def test_keys_decide_after_the_slider_was_dragged_and_a_menu_was_closed(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "dragged")
    ids = populate.add_generation(made, 6)
    visitor.open("/?project=dragged")
    visitor.expect_shown(ids[0])
    deck, mouse = visitor.page.locator(".deck"), visitor.page.mouse
    deck.locator(".way").select_option("slide")
    box = deck.locator(".slide").bounding_box()
    y = box["y"] + box["height"] / 2
    mouse.move(box["x"] + box["width"] / 2, y)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 4, y, steps=3)
    mouse.up()
    assert int(deck.locator(".slide").input_value()) < 40
    visitor.press("ArrowRight")
    visitor.expect_shown(ids[1])
    deck.locator(".slide").focus()  # by keyboard the arrows are the slider's, and letters decide
    before = int(deck.locator(".slide").input_value())
    visitor.press("ArrowRight")
    assert int(deck.locator(".slide").input_value()) == before + 1 and visitor.shown() == ids[1]
    visitor.press("r")
    visitor.expect_shown(ids[2])
    deck.locator(".way").click()
    visitor.press("Escape", "1")
    visitor.expect_shown(ids[3])
    visitor.expect_sent()
    assert populate.given(made)[-1] == (ids[2], "reject", "anatomy")


def test_the_deck_goes_on_without_the_server_and_no_dialog_covers_it(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "alone")
    ids = populate.add_generation(made, 12)
    visitor.open("/?project=alone")
    visitor.expect_shown(ids[0])
    visitor.page.wait_for_load_state("networkidle")
    app.stop(signal.SIGKILL)
    try:
        lost = "[data-testid=stApp]:not([data-test-connection-state=CONNECTED])"
        visitor.page.locator(lost).wait_for()
        visitor.page.get_by_test_id("stConnectionStatus").wait_for()  # Streamlit's own small line
        visitor.press("a", "r")
        visitor.expect_shown(ids[2])
        visitor.page.get_by_text("2 verdicts are kept here and sent as soon as it does").wait_for()
        visitor.page.wait_for_timeout(4000)  # Streamlit's dialog came after the second try
        assert visitor.page.get_by_role("dialog").count() == 0
        visitor.press("a")
        visitor.expect_shown(ids[3])
    finally:
        app.start()
    visitor.expect_sent()
    assert [verdict for _, verdict, _ in populate.given(made)] == ["accept", "reject", "accept"]
    visitor.open("/nowhere?project=alone")  # where Streamlit had another dialog
    visitor.page.get_by_text("There is no page nowhere; this is Review.").wait_for()
    visitor.expect_shown(ids[3])


def test_a_second_reviewer_gets_candidates_at_once_and_unused_ones_come_back(
    app: Any, visitors: Callable[[], Any]
) -> None:
    made = populate.make_project(app.workspace, "shared")
    ids = populate.add_generation(made, 24)
    ann, bob = visitors(), visitors()

    def held() -> list[int]:
        """Return how many candidates each browser holds."""
        catalog = Catalog(made.workspace.catalog_url)
        [ours] = [row.id for row in rows.read(catalog, "project") if row.name == made.name]
        candidates = [row for row in rows.read(catalog, "candidate") if row.project_id == ours]
        holders = [row.held_by for row in candidates if row.held_by]
        catalog.close()
        return sorted(map(holders.count, set(holders)))

    def expect_held(is_right: Callable[[list[int]], bool]) -> None:
        for _ in range(100):
            if is_right(held()):
                return
            bob.page.wait_for_timeout(100)
        raise AssertionError(held())

    ann.page.clock.install()
    for one in (ann, bob):
        one.open("/?project=shared")
        one.page.locator('.deck:not([data-candidate=""])[data-candidate]').wait_for()
    assert ann.shown() == ids[0] and bob.shown() in ids[1:]
    ann.press("a")
    expect_held(lambda counts: len(counts) == 2 and max(counts) <= 8)  # a third could have as many
    ann.page.clock.fast_forward(90_000)  # she is away
    expect_held(lambda counts: min(counts) == 2)
    before = ann.shown()
    ann.page.mouse.move(300, 300)
    ann.page.clock.fast_forward(1000)
    expect_held(lambda counts: min(counts) > 2)
    assert ann.shown() == before
