"""The Review page in real Chromium: one key decides and advances, and nothing is lost."""

from typing import Any

import pytest
from browser import populate

KEYS = [("ArrowRight", "accept"), ("a", "accept"), ("ArrowLeft", "reject"), ("x", "reject")]


@pytest.mark.parametrize(("key", "verdict"), KEYS)
def test_one_key_decides_and_advances(app: Any, visitor: Any, key: str, verdict: str) -> None:
    made = populate.make_project(app.workspace, f"key {key}")
    first, second, third = populate.add_generation(made, 3)
    visitor.open(f"/?project=key+{key}")
    visitor.expect_shown(first)
    visitor.page.keyboard.press(key)
    visitor.expect_shown(second)
    assert populate.verdicts(made) == {first: verdict, second: "undecided", third: "undecided"}


@pytest.mark.parametrize(("button", "verdict"), [("Accept", "accept"), ("Reject", "reject")])
def test_a_button_decides_and_advances(app: Any, visitor: Any, button: str, verdict: str) -> None:
    made = populate.make_project(app.workspace, f"button {button}")
    first, second = populate.add_generation(made, 2)
    visitor.open(f"/?project=button+{button}")
    visitor.expect_shown(first)
    visitor.page.locator(".st-key-verdict-buttons").get_by_role("button", name=button).click()
    visitor.expect_shown(second)
    assert populate.verdicts(made)[first] == verdict


@pytest.mark.parametrize("undo", ["u", "Control+z", "button"])
def test_undo_brings_the_picture_back(app: Any, visitor: Any, undo: str) -> None:
    made = populate.make_project(app.workspace, f"undo {undo.replace('+', '-')}")
    first, second, third = populate.add_generation(made, 3)
    visitor.open(f"/?project={made.name.replace(' ', '+')}")
    visitor.expect_shown(first)
    for key, following in (("ArrowRight", second), ("ArrowLeft", third)):
        visitor.page.keyboard.press(key)
        visitor.expect_shown(following)
    for expected in (second, first):
        if undo == "button":
            visitor.page.locator(".st-key-verdict-buttons").get_by_role("button", name="Undo").click()
        else:
            visitor.page.keyboard.press(undo)
        visitor.expect_shown(expected)
    assert set(populate.verdicts(made).values()) == {"undecided"}


def test_verdicts_survive_a_reload_and_a_killed_server(app: Any, visitor: Any) -> None:
    import signal

    made = populate.make_project(app.workspace, "reload")
    ids = populate.add_generation(made, 4)
    visitor.open("/?project=reload")
    visitor.expect_shown(ids[0])
    visitor.page.keyboard.press("ArrowRight")
    visitor.expect_shown(ids[1])
    visitor.page.reload()
    visitor.settle()
    visitor.expect_shown(ids[1])
    visitor.page.keyboard.press("ArrowLeft")
    visitor.expect_shown(ids[2])
    app.stop(signal.SIGKILL)
    app.start()
    visitor.open("/?project=reload")
    visitor.expect_shown(ids[2])
    assert "2 of 4 decided · 1 accepted · 1 rejected" in visitor.page.locator(".stProgress").inner_text()
    assert list(populate.verdicts(made).values()) == ["accept", "reject", "undecided", "undecided"]


def test_hasty_keys_decide_only_what_was_on_the_screen(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "hasty")
    ids = populate.add_generation(made, 12)
    visitor.open("/?project=hasty")
    visitor.expect_shown(ids[0])
    for _ in range(6):
        visitor.page.keyboard.press("ArrowRight")  # no waiting in between
    visitor.page.wait_for_timeout(1500)
    visitor.settle()
    given = populate.verdicts(made)
    count = list(given.values()).count("accept")
    assert 1 <= count <= 6
    assert list(given.values()) == ["accept"] * count + ["undecided"] * (12 - count)
    assert visitor.shown() == ids[count]


def test_the_end_says_so_and_undo_still_works(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "end")
    (only,) = populate.add_generation(made, 1)
    visitor.open("/?project=end")
    visitor.expect_shown(only)
    visitor.page.keyboard.press("ArrowRight")
    visitor.page.get_by_text("All decided").wait_for()
    visitor.page.wait_for_function("() => hotkeys.getAllKeyCodes().map((one) => one.shortcut).join() === 'u'")
    visitor.page.keyboard.press("u")
    visitor.expect_shown(only)
    assert populate.verdicts(made) == {only: "undecided"}


def test_keys_work_right_after_another_project_was_picked(app: Any, visitor: Any) -> None:
    populate.add_generation(populate.make_project(app.workspace, "pick a"), 2)
    made = populate.make_project(app.workspace, "pick b")
    first, second = populate.add_generation(made, 2)
    visitor.open("/?project=pick+a")
    visitor.page.locator("[data-testid=stSidebar]").get_by_role("button", name="pick a").click()
    visitor.page.get_by_role("menuitem", name="pick b", exact=True).click()
    visitor.page.get_by_role("heading", name="pick b").wait_for()
    visitor.expect_shown(first)
    visitor.page.keyboard.press("ArrowRight")
    visitor.expect_shown(second)


def test_the_next_pictures_are_loaded_before_they_are_shown(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "ahead")
    ids = populate.add_generation(made, 6)
    fetched: list[str] = []
    visitor.page.on("request", lambda request: fetched.append(request.url))
    visitor.open("/?project=ahead")
    visitor.expect_shown(ids[0])
    visitor.page.wait_for_load_state("networkidle")
    assert [one for one in ids if any(f"/{one}.png" in url for url in fetched)] == ids[:4]


def test_what_people_wrote_is_shown_as_text(app: Any, visitor: Any) -> None:
    evil = "<img src=x onerror=alert(1)>"
    made = populate.make_project(app.workspace, "evil", caption=f"woman, {evil}, **bold** $x$ :red[red]")
    first, _ = populate.add_generation(made, 2, negative_prompt=evil)
    visitor.open("/?project=evil")
    visitor.expect_shown(first)
    assert evil in visitor.page.locator(".sid-tags").inner_text()
    assert "**bold** $x$ :red[red]" in visitor.page.locator(".sid-tags").inner_text()
    assert evil in visitor.page.locator(".sid-facts").inner_text()
    assert visitor.page.locator("img[src=x]").count() == 0
    visitor.open("/grid?project=evil")
    visitor.page.locator(".cell").first.wait_for()
    assert evil in visitor.page.locator(".cell .open").first.get_attribute("aria-label")
    assert visitor.page.locator("img[src=x]").count() == 0


def test_tags_show_what_was_left_out_and_what_was_added(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "tags", caption="woman, smile, window")
    kept, eliminated, added = populate.add_generation(made, 3)
    visitor.open("/?project=tags")
    visitor.expect_shown(kept)
    visitor.page.keyboard.press("ArrowRight")
    visitor.expect_shown(eliminated)
    assert visitor.page.locator(".sid-tags del").all_inner_texts() == ["window"]
    visitor.page.keyboard.press("ArrowRight")
    visitor.expect_shown(added)
    assert visitor.page.locator(".sid-tags ins").all_inner_texts() == ["glasses"]
