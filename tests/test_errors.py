"""What is printed is printable: messages, cells and logs are one line of bounded length, whatever they quote."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap import errors
from bootstrap.errors import UserError, cell, printable, reason_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("woman, “Ü” 山 \U0001f469\u200d\U0001f680", "woman, “Ü” 山 \U0001f469\u200d\U0001f680"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b]0;title\x07\x9b31m", "\\x1b]0;title\\x07\\x9b31m"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("a\u2028b\u2066\ufeff\u200b\U000e0041", "a\\u2028b\\u2066\\ufeff\\u200b\\U000e0041"),
        ("a\udc80b", "a\\udc80b"),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown == str(UserError(text)) == reason_of(UserError(shown))


def test_of_a_long_message_the_end_stays() -> None:
    message = str(UserError(f"project '{'x' * 1_000_000}': unknown; run `sid status`"))
    assert len(message) == 500
    assert message.startswith("project 'xxx") and message.endswith("x': unknown; run `sid status`")
    assert cell("x" * 100, 10) == "x" * 9 + "…"
    assert cell("\n" * 100, 10) == "\\n\\n\\n\\n\\" + "…"


@given(st.text(st.characters(), max_size=800))
def test_any_text_becomes_one_line(text: str) -> None:
    for line in (printable(text), cell(text, 500), str(UserError(text))):
        assert len(line) <= 500 and not any(sign in line for sign in "\n\r\x1b\x07\x85\u2028\u202e")
        assert printable(line) == line
        line.encode("utf-8")


@pytest.fixture
def printable_logs() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    errors.keep_logs_printable()
    yield
    logging.setLogRecordFactory(before)


def test_logs_are_one_line(printable_logs: None, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("bootstrap.upkeep.reindex", "prefect.flow_runs", "review_app.server"):
        logging.getLogger(name).warning("%s is left out", "a\nb\x1b[2J")
    logging.getLogger("somebody.else").warning("a\nb")
    assert [record.getMessage() for record in caplog.records] == [*["a\\nb\\x1b[2J is left out"] * 3, "a\nb"]
