"""The grid in real Chromium: the page holds only the visible cells, and one key gives many verdicts."""

from typing import Any

from browser import populate


def test_many_are_selected_and_judged_at_once_and_one_undo_takes_it_back(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "many")
    ids = populate.add_generation(made, 300)
    visitor.open("/grid?project=many")

    def cell(candidate_id: str) -> Any:
        return visitor.page.locator(f'.cell[data-id="{candidate_id}"]')

    cell(ids[0]).wait_for()
    assert visitor.page.locator(".cell").count() < 120
    cell(ids[2]).click()
    cell(ids[9]).click(modifiers=["Shift"])
    visitor.page.get_by_text("8 selected").wait_for()
    cell(ids[4]).click(modifiers=["Control"])
    visitor.press("r")
    visitor.expect_sent()
    rejected = [*ids[2:4], *ids[5:10]]
    assert [one for one, verdict in populate.verdicts(made).items() if verdict == "reject"] == rejected
    visitor.page.get_by_role("radio", name="Rejected 7").click()
    cell(ids[0]).wait_for(state="detached")
    assert visitor.page.locator(".cell").count() == 7
    visitor.page.locator(".scroller").focus()
    visitor.press("Control+a", "a")
    visitor.page.get_by_text("No candidate matches.").wait_for()
    visitor.expect_sent()
    assert list(populate.verdicts(made).values()).count("accept") == 7
    for left in (0, 7):  # each undo is one step
        visitor.page.get_by_role("button", name="Undo").click()
        visitor.expect_sent()
        values = list(populate.verdicts(made).values())
        assert (values.count("reject"), values.count("accept")) == (7 - left, 0)
    visitor.page.get_by_role("radio", name="All 300").click()
    visitor.page.locator(".scroller").focus()
    visitor.press("End")
    cell(ids[-1]).wait_for()
    assert cell(ids[0]).count() == 0


def test_filters_orders_and_a_way_to_the_deck(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "sorted")
    ids = populate.add_generation(made, 12)
    visitor.open("/grid?project=sorted")
    visitor.page.locator(".cell").first.wait_for()
    visitor.page.get_by_role("button", name="Filter").click()
    visitor.page.get_by_role("combobox", name="Recipe").click()
    visitor.page.get_by_role("option", name="eliminate").click()
    visitor.page.locator(".verdict-filter [data-verdict=all]", has_text="All 4").wait_for()
    shown = visitor.page.locator(".cell").evaluate_all("(all) => all.map((one) => one.dataset.id)")
    assert shown == ids[1::3]
    visitor.press("Escape")
    visitor.press("Escape")
    visitor.page.locator(f'.cell[data-id="{ids[4]}"]').dblclick()
    visitor.page.get_by_role("button", name="Review in the deck").click()
    visitor.expect_shown(ids[4])
