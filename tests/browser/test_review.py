"""The deck in real Chromium: a key decides at once, no verdict is lost, and two people never get the same picture."""

import signal
from collections.abc import Callable
from typing import Any

from browser import populate

from bootstrap.catalog.states import Verdict

# Press hundreds of keys from within the page, each when a picture is shown; return the ids of the pictures shown.
PRESS_AND_NOTE = """async (deck, [key, count]) => {
    const shown = [];
    while (shown.length < count) {
        if (deck.dataset.candidate) {
            shown.push(deck.dataset.candidate);
            window.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        } else await new Promise((done) => setTimeout(done, 20));
    }
    return shown;
}"""

FOCUSED = """() => {
    let one = document.activeElement;
    while (one.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
    return one.textContent;
}"""


def test_every_key_does_what_it_says_and_all_of_it_can_be_undone(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "keys")
    ids = populate.add_generation(made, 9)
    visitor.open("/?project=keys")
    visitor.expect_shown(ids[0])
    for keys, shown in (("a", "ArrowRight", "r"), 3), (("ArrowLeft", "2", "s"), 6), (("ArrowDown",), 7):
        visitor.press(*keys)  # no more at once than a browser holds of so few
        visitor.expect_shown(ids[shown])
        visitor.expect_sent()
    verdicts = ["accept", "accept", "reject", "reject", "reject"]
    assert list(populate.verdicts(made).values()) == verdicts + ["undecided"] * 4
    assert [reason for *_, reason in populate.given(made)] == ["", "", "", "", "artifacts"]
    assert "5 of 9 decided · 2 accepted · 3 rejected" in visitor.page.locator(".deck .count").inner_text()
    visitor.press("a", "a")  # then the postponed ones come back, in their order
    visitor.expect_shown(ids[5])
    for key, expected in zip(
        ["u", "Control+z", "u", "u", "u", "u", "u"],
        [ids[8], ids[7], ids[6], ids[5], ids[4], ids[3], ids[2]],
        strict=True,
    ):
        visitor.press(key)
        visitor.expect_shown(expected)
    for expected in (ids[1], ids[0]):
        visitor.page.locator(".deck").get_by_role("button", name="Undo").click()
        visitor.expect_shown(expected)
    visitor.expect_sent()
    assert set(populate.verdicts(made).values()) == {"undecided"}


def test_buttons_decide_and_undo_goes_on_after_a_reload(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "buttons")
    first, second, third = populate.add_generation(made, 3)
    visitor.open("/?project=buttons")
    visitor.expect_shown(first)
    deck = visitor.page.locator(".deck")
    deck.get_by_role("button", name="Accept").click()
    deck.get_by_role("button", name="not the subject").click()
    visitor.expect_shown(third)
    deck.get_by_role("button", name="Reject", exact=False).first.click()
    visitor.page.get_by_text("All decided").wait_for()
    assert populate.given(made)[1:] == [(second, "reject", "not the subject"), (third, "reject", "")]
    visitor.page.reload()
    visitor.page.get_by_text("All decided").wait_for()
    assert deck.locator(".stage").is_hidden()
    assert deck.get_by_role("button", name="Accept").is_hidden()
    for expected in (third, second, first):
        visitor.press("u")
        visitor.expect_shown(expected)
    visitor.page.get_by_text("All decided").wait_for(state="detached")
    visitor.expect_sent()
    assert set(populate.verdicts(made).values()) == {"undecided"}


def test_a_server_that_is_killed_in_a_burst_loses_nothing_and_gets_nothing_twice(
    app: Any, visitor: Any
) -> None:
    made = populate.make_project(app.workspace, "killed")
    ids = populate.add_generation(made, 30)
    visitor.open("/?project=killed")
    visitor.expect_shown(ids[0])
    visitor.page.wait_for_load_state("networkidle")
    keys = ["a", "r"] * 8
    visitor.press(*keys[:6])
    app.stop(signal.SIGKILL)
    visitor.press(*keys[6:14])  # loaded pictures can be reviewed without the server
    visitor.expect_shown(ids[14])
    visitor.page.get_by_text("kept here and sent as soon as it does").wait_for()
    app.start()
    visitor.page.goto("about:blank")  # a reload, in the middle of whatever it tries
    visitor.open("/?project=killed")
    visitor.expect_sent()
    visitor.expect_shown(ids[14])
    visitor.press(*keys[14:])
    visitor.expect_shown(ids[16])
    visitor.expect_sent()
    words = {"a": "accept", "r": "reject"}
    assert populate.given(made) == [(one, words[key], "") for one, key in zip(ids, keys, strict=False)]


def test_two_browsers_never_judge_the_same_picture(app: Any, visitors: Callable[[], Any]) -> None:
    made = populate.make_project(app.workspace, "two")
    ids = populate.add_generation(made, 400, thumbnails=False)
    ann, bob = visitors(), visitors()
    for one in (ann, bob):
        one.open("/?project=two")
        one.page.locator('.deck:not([data-candidate=""])[data-candidate]').wait_for()
    judged: list[tuple[str, str]] = []

    def judge(one: Any, key: str, verdict: str, count: int) -> None:
        shown = one.page.locator(".deck").evaluate(PRESS_AND_NOTE, [key, count])
        judged.extend((candidate, verdict) for candidate in shown)

    for _ in range(20):
        judge(ann, "r", "reject", 10)
        judge(bob, "a", "accept", 8)
    ann.expect_sent()
    ann.page.goto("about:blank")  # bob gets her pictures now
    judge(bob, "a", "accept", 40)
    bob.expect_sent()
    given = populate.given(made)
    assert len(given) == 400
    assert sorted((one, verdict) for one, verdict, _ in given) == sorted(judged)
    assert set(ids) == {one for one, _ in judged}


def test_a_verdict_that_comes_too_late_is_told_and_not_taken(app: Any, visitor: Any) -> None:
    from bootstrap.catalog import Catalog, verdicts

    made = populate.make_project(app.workspace, "late")
    first, second, third = populate.add_generation(made, 3)
    visitor.open("/?project=late")
    visitor.expect_shown(first)
    catalog = Catalog(made.workspace.catalog_url)
    verdicts.decide(catalog, made.name, [first], Verdict.REJECT, "bob")  # on the command line, say
    catalog.close()
    visitor.press("a")
    visitor.page.get_by_text("rejected by bob meanwhile; that stands").wait_for()
    assert populate.verdicts(made)[first] == "reject"
    visitor.press("r")
    visitor.expect_shown(third)
    visitor.press("u", "u")  # the refused one is no step
    visitor.expect_shown(second)
    visitor.expect_sent()
    assert populate.verdicts(made) == {first: "reject", second: "undecided", third: "undecided"}


def test_keys_work_right_after_another_project_was_picked(app: Any, visitor: Any) -> None:
    populate.add_generation(populate.make_project(app.workspace, "pick a"), 2)
    made = populate.make_project(app.workspace, "pick b")
    first, second = populate.add_generation(made, 2)
    visitor.open("/?project=pick+a")
    visitor.page.locator("[data-testid=stSidebar]").get_by_role("button", name="pick a").click()
    visitor.page.get_by_role("menuitem", name="pick b", exact=True).click()
    visitor.page.get_by_role("heading", name="pick b").wait_for()
    visitor.expect_shown(first)
    visitor.press("ArrowRight")
    visitor.expect_shown(second)


def test_what_people_wrote_is_shown_as_text(app: Any, visitor: Any) -> None:
    evil = "<img src=x onerror=alert(1)>"
    file_name = 'it\'s "new" 🍎 <b>.safetensors'
    made = populate.make_project(app.workspace, "evil", caption=f"woman, {evil}, **bold** $x$ :red[red]")
    text = made.toml.read_text("utf-8").replace('reasons = ["anatomy"', f"reasons = ['{evil}'")
    made.toml.write_text(text, "utf-8")
    first, *_ = populate.add_generation(made, 2, negative_prompt=evil, base_model=file_name)
    visitor.open("/?project=evil")
    visitor.expect_shown(first)
    assert evil in visitor.page.locator(".deck .tags").inner_text()
    assert "**bold** $x$ :red[red]" in visitor.page.locator(".deck .tags").inner_text()
    assert evil in visitor.page.locator(".deck .facts").inner_text()
    assert file_name in visitor.page.locator(".deck .facts").inner_text()
    assert evil in visitor.page.locator(".deck .reasons").inner_text()
    assert visitor.page.locator("img[src=x]").count() == 0
    visitor.press("1")
    visitor.expect_sent()
    visitor.open("/grid?project=evil")
    visitor.page.locator(".cell").first.wait_for()
    assert evil in visitor.page.locator(".cell").first.get_attribute("aria-label")
    visitor.page.get_by_role("button", name="Filter", exact=False).last.click()
    visitor.page.get_by_text("Tags: the prompt has all of these").wait_for()
    assert visitor.page.locator("img[src=x]").count() == 0


def test_beside_the_picture(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "beside", caption="woman, smile, window")
    kept, eliminated, added = populate.add_generation(made, 3)
    visitor.open("/?project=beside")
    visitor.expect_shown(kept)
    deck = visitor.page.locator(".deck")
    visitor.press("Space")  # the original is where the candidate was
    deck.locator(".over").wait_for(state="visible")
    assert "/original/" in deck.locator(".over").get_attribute("src")
    visitor.press("Space", "z")
    deck.locator(".over").wait_for(state="hidden")
    assert deck.locator(".zoom .pane").first.bounding_box()["width"] == 1440
    visitor.press("Escape", "ArrowRight")
    visitor.expect_shown(eliminated)
    assert deck.locator(".tags del").all_inner_texts() == ["window"]
    deck.locator(".way").select_option("slide")
    assert deck.locator(".reference").is_hidden()
    deck.locator(".slide").fill("20")
    assert "inset(0px 80% 0px 0px)" in deck.locator(".over").evaluate(
        "(one) => getComputedStyle(one).clipPath"
    )
    deck.locator("summary").click()
    visitor.press("ArrowRight")
    visitor.expect_shown(added)
    assert deck.locator(".tags").is_hidden()
    visitor.page.reload()  # how one likes to look is remembered
    visitor.expect_shown(added)
    assert deck.locator(".slide").is_visible()
    deck.locator("summary").click()
    deck.locator(".tags ins").wait_for(state="visible")
    assert deck.locator(".tags ins").all_inner_texts() == ["glasses"]
    visitor.press("?")
    deck.get_by_text("undo, without limit").wait_for()
    visitor.press("Escape", "a")
    visitor.page.get_by_text("All decided").wait_for()


def test_a_look_alike_takes_the_place_of_the_one_that_is_shown(app: Any, visitor: Any) -> None:
    import rows

    from bootstrap.catalog import Catalog

    made = populate.make_project(app.workspace, "alike")
    first, second, hidden = populate.add_generation(made, 3)
    catalog = Catalog(made.workspace.catalog_url)
    rows.change(catalog, "candidate", [hidden], state="duplicate", duplicate_of=first)
    catalog.close()
    visitor.open("/?project=alike")
    visitor.expect_shown(first)
    deck = visitor.page.locator(".deck")
    deck.get_by_role("button", name="Look-alike 1").click()
    dialog = deck.get_by_role("dialog", name="Look-alike")
    dialog.get_by_role("img", name="The look-alike").evaluate("(picture) => picture.decode()")
    visitor.press("a")  # decides nothing while one looks
    dialog.get_by_role("button", name="Show this one instead").click()
    visitor.expect_shown(hidden)
    assert dialog.is_hidden()
    visitor.press("a")
    visitor.expect_shown(second)
    visitor.expect_sent()
    assert populate.given(made) == [(hidden, "accept", "")]


def test_fingers_and_readers_of_the_screen(app: Any, visitors: Callable[[], Any]) -> None:
    made = populate.make_project(app.workspace, "fingers")
    first, second, third = populate.add_generation(made, 3)
    visitor = visitors()
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.open("/?project=fingers")
    visitor.expect_shown(first)
    network = visitor.page.context.new_cdp_session(visitor.page)

    def swipe(by: int, down: int = 0) -> None:
        box = visitor.page.locator(".deck .candidate .frame").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        places = [(x + by * part / 4, y + down * part / 4) for part in range(5)]
        for place, kind in zip(places, ["touchStart"] + ["touchMove"] * 4, strict=True):
            touch = {"x": place[0], "y": place[1]}
            network.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [touch]})
        network.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    swipe(20)  # too short
    swipe(70, down=150)  # scrolls
    visitor.expect_shown(first)
    swipe(120)
    visitor.expect_shown(second)
    said = visitor.page.locator(".deck .spoken")
    assert said.inner_text().startswith("accepted. Next: woman")
    assert said.get_attribute("aria-live") == "polite"
    visitor.page.locator(".deck .candidate .frame").scroll_into_view_if_needed()
    swipe(-120)
    visitor.expect_shown(third)
    visitor.expect_sent()
    assert populate.given(made) == [(first, "accept", ""), (second, "reject", "")]
    assert visitor.page.locator(".deck .slot img").get_attribute("alt").startswith("Candidate: woman")
    visitor.page.locator(".deck .stage").focus()
    order = []
    for _ in range(4):
        visitor.press("Tab")
        order.append(visitor.page.evaluate(FOCUSED))
    assert [one.rstrip("←↓U→") for one in order] == ["✕Reject", "Later", "Undo", "✓Accept"]
    visitor.press("Enter")  # of the button, not of the deck
    visitor.page.get_by_text("All decided").wait_for()
    visitor.expect_sent()
    assert populate.given(made)[-1] == (third, "accept", "")
