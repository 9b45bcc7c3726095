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


def test_the_grids_keys_work_before_a_click_and_reasons_in_the_large_view(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "keys of grid")
    ids = populate.add_generation(made, 6)
    visitor.open("/grid?project=keys+of+grid")
    page = visitor.page
    page.locator(".cell").first.wait_for()
    visitor.press("Control+a")
    page.get_by_text("6 selected").wait_for()
    assert page.evaluate("getSelection().toString()") == ""
    visitor.press("Escape", "?")
    page.locator(".grid .help").get_by_text("drag a rectangle").wait_for()
    visitor.press("?")
    page.locator(f'.cell[data-id="{ids[1]}"]').click()
    page.locator(f'.cell[data-id="{ids[2]}"]').click(modifiers=["Control"])
    visitor.press("2")  # a reason, for both
    visitor.expect_sent()
    assert populate.given(made) == [(ids[1], "reject", "artifacts"), (ids[2], "reject", "artifacts")]

    visitor.press("c")  # compares them
    large = page.locator(".zoom")
    assert large.locator(".pane:visible").count() == 2
    visitor.press("c")
    assert large.locator(".pane:visible").count() == 1
    large.get_by_role("button", name="The next one").click()
    large.get_by_role("button", name="Accept").click()
    shown = large.locator(".pane:visible img").first.get_attribute("src").split("/")[-1]
    visitor.expect_sent()
    [decided] = [one for one, verdict in populate.verdicts(made).items() if verdict == "accept"]
    assert shown == f"{decided}.png"
    assert large.locator(".words b").inner_text() == "✓ accepted"
    large.get_by_role("button", name="anatomy").click()  # thought better of it
    visitor.expect_sent()
    assert populate.given(made)[-1] == (decided, "reject", "anatomy")
    visitor.press("Escape")
    large.wait_for(state="hidden")


def test_a_rectangle_selects_and_a_selection_does_not_look_like_a_verdict(app: Any, visitor: Any) -> None:
    made = populate.make_project(
        app.workspace, "band", caption="woman, a hat with a very long name at the left"
    )
    ids = populate.add_generation(made, 12)
    visitor.open("/grid?project=band")
    page, mouse = visitor.page, visitor.page.mouse
    cells = page.locator(".cell")
    cells.nth(11).wait_for()
    first, third = cells.nth(0).bounding_box(), cells.nth(2).bounding_box()
    mouse.move(first["x"] + 60, first["y"] + 60)
    mouse.down()
    mouse.move(third["x"] + 60, third["y"] + 80, steps=4)
    mouse.up()
    page.get_by_text("3 selected").wait_for()
    mouse.click(cells.nth(5).bounding_box()["x"] + 40, first["y"] + 40)
    page.get_by_text("1 selected").wait_for()
    page.locator(f'.cell[data-id="{ids[0]}"]').click()
    visitor.press("a")
    looks = """(cell) => [
        cell.querySelector(".mark").textContent, getComputedStyle(cell.querySelector(".frame")).boxShadow
    ]"""
    page.locator(f'.cell[data-id="{ids[1]}"]').click()
    (accepted, no_frame), (nothing, frame) = (cells.nth(at).evaluate(looks) for at in (0, 1))
    assert (accepted, no_frame, nothing) == ("✓", "none", "") and frame != "none"
    long = page.locator(".cell", has_text="a hat").first
    end = long.locator(".end").bounding_box()
    assert long.locator(".end").inner_text() == "t the left"
    assert end["x"] + end["width"] <= long.bounding_box()["x"] + long.bounding_box()["width"]
    page.locator(".cell-size").fill("18")
    assert cells.nth(0).bounding_box()["width"] > 1.7 * first["width"]
    page.reload()
    cells.nth(0).wait_for()
    assert cells.nth(0).bounding_box()["width"] > 1.7 * first["width"]


def test_a_filter_is_in_the_address_and_can_be_reviewed_alone(app: Any, visitor: Any) -> None:
    made = populate.make_project(app.workspace, "part")
    ids = populate.add_generation(made, 12)
    with_glasses = ids[2::3]
    visitor.open("/grid?project=part")
    page = visitor.page
    page.locator(".cell").first.wait_for()
    page.get_by_role("button", name="Filter").click()
    for name, option in (("Recipe", "add"), ("Snapshot", "4")):
        page.get_by_role("combobox", name=name).click()
        page.get_by_role("option", name=option, exact=True).click()
        visitor.press("Escape")
    all_of_it = page.locator(".verdict-filter [data-verdict=all]")
    chips = page.locator(".st-key-grid-chips")
    chips.get_by_role("button", name="snapshot 4").wait_for()
    visitor.press("Escape")
    page.get_by_role("radio", name="Undecided 4").click()
    page.wait_for_url("**verdict=undecided**")
    page.reload()
    all_of_it.get_by_text("All 4").wait_for()
    page.locator('[role=radio][aria-checked=true][data-verdict="undecided"]').wait_for()
    chips.get_by_role("button", name="snapshot 4").click()
    chips.get_by_role("button", name="snapshot 4").wait_for(state="detached")
    chips.get_by_role("button", name="add").wait_for()

    page.locator(
        f'.cell[data-id="{with_glasses[2]}"]'
    ).click()  # this one first, then the others of the filter
    page.locator(".bar").get_by_role("button", name="Review these").click()
    for candidate in (with_glasses[2], *with_glasses[:2]):
        visitor.expect_shown(candidate)
        page.locator(".only", has_text="only add").wait_for()
        visitor.press("a")
    visitor.expect_shown(with_glasses[3])
    assert "3 of 4 decided" in page.locator(".deck .count").inner_text()
    visitor.expect_sent()
    page.reload()
    visitor.expect_shown(with_glasses[3])
    visitor.press("r")
    page.get_by_text("All of these decided").wait_for()
    page.get_by_role("button", name="Review all others").click()
    visitor.expect_shown(ids[0])
    assert "4 of 12 decided" in page.locator(".deck .count").inner_text()
    visitor.expect_sent()
