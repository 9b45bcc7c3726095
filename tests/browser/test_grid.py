"""The grid in real Chromium: thumbnails by URL, filters, pages, and verdicts from the cells."""

from typing import Any

from browser import populate


def test_thumbnails_come_by_url_and_page_by_page(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "many")
    ids = populate.add_generation(made, 60)
    fetched: list[str] = []
    visitor.page.on("request", lambda request: fetched.append(request.url))
    visitor.open("/grid?project=many")
    visitor.page.locator(".cell img").first.wait_for()
    assert visitor.page.locator(".cell").count() == 48
    assert any(url.endswith(f"/thumbnail/many/{ids[0]}.webp") for url in fetched)
    assert not any("/media/" in url and url.endswith((".webp", ".jpg")) for url in fetched)
    visitor.page.get_by_role("button", name="Page 2", exact=True).click()
    visitor.page.locator(f'.cell[data-id="{ids[48]}"]').wait_for()
    assert visitor.page.locator(".cell").count() == 12


def test_verdicts_from_the_cells_and_filters(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "cells")
    first, second, third = populate.add_generation(made, 3)
    visitor.open("/grid?project=cells")

    def cell(candidate_id: str) -> Any:
        return visitor.page.locator(f'.cell[data-id="{candidate_id}"]')

    cell(first).hover()
    cell(first).get_by_role("button", name="Accept", exact=True).click()
    visitor.page.locator(f'.cell[data-id="{first}"][data-verdict="accept"]').wait_for()
    cell(second).hover()
    cell(second).get_by_role("button", name="Reject", exact=True).click()
    visitor.page.locator(f'.cell[data-id="{second}"][data-verdict="reject"]').wait_for()
    assert populate.verdicts(made) == {first: "accept", second: "reject", third: "undecided"}

    visitor.page.get_by_text("Accepted 1").click()
    cell(second).wait_for(state="detached")
    assert visitor.page.locator(".cell").count() == 1
    cell(first).hover()  # the same verdict once more takes it back
    cell(first).get_by_role("button", name="Accept", exact=True).click()
    visitor.page.get_by_text("No candidate is like that.").wait_for()
    assert populate.verdicts(made)[first] == "undecided"


def test_a_click_opens_a_candidate_and_a_key_decides_it(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "opened")
    first, second = populate.add_generation(made, 2)
    visitor.open("/grid?project=opened")
    visitor.page.locator(f'.cell[data-id="{second}"] .open').click()
    visitor.expect_shown(second)
    visitor.page.keyboard.press("ArrowRight")
    visitor.page.get_by_role("dialog").wait_for(state="detached")
    visitor.page.locator(f'.cell[data-id="{second}"][data-verdict="accept"]').wait_for()
    assert populate.verdicts(made) == {first: "undecided", second: "accept"}
    visitor.page.reload()
    visitor.settle()
    visitor.page.locator(f'.cell[data-id="{second}"][data-verdict="accept"]').wait_for()


def test_an_opened_candidate_can_be_left_as_it_is(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "left")
    (only,) = populate.add_generation(made, 1)
    visitor.open("/grid?project=left")
    visitor.page.locator(".cell .open").click()
    visitor.expect_shown(only)
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_role("dialog").wait_for(state="detached")
    visitor.page.locator(".cell").hover()
    visitor.page.locator(".cell").get_by_role("button", name="Reject", exact=True).click()
    visitor.page.locator('.cell[data-verdict="reject"]').wait_for()
    assert visitor.page.get_by_role("dialog").count() == 0
