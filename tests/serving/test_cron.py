"""A schedule runs when the person means it to, or is refused in one line."""

import pytest

from bootstrap.errors import UserError
from bootstrap.serving import cron


@pytest.mark.parametrize(
    "plain", ["0 1 * * *", "*/15 * * * *", "30 22 * * 1-5", "0 1,13 1 jan,jul *", "5 4 * * SUN", "0 0 29 2 *"]
)
def test_plain_expressions_are_taken(plain: str) -> None:
    assert cron.checked(plain, "--cron") == plain


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ("0 0 1 * * *", "it has six fields, and seconds cannot be set"),
        ("0 1 * * * 30", "it has six fields, and seconds cannot be set"),
        ("0 1 * * * 30 2030", "not a cron schedule"),
        ("@daily", "not a cron schedule"),
        ("0 1 * *", "not a cron schedule"),
        ("", "not a cron schedule"),
        ("61 1 * * *", "not a cron schedule"),
        ("H 1 * * *", "not a cron schedule"),
        ("0 1 L * *", "not a cron schedule"),
        ("0 1 * * 5#2", "not a cron schedule"),
        ("0 1 * * fri-5", "not a cron schedule"),
        ("0 1 5/10 * *", "not a cron schedule"),
        ("0 1 * * 5-5", "not a cron schedule"),
        ("0 1 1-31 * 1", "day and weekday are both limited"),
        ("0 1 */2 * 1", "day and weekday are both limited"),
        ("0 1 31 2 *", "such a day never comes|not a cron schedule"),
        ("0 " * 5000, "not a cron schedule"),
    ],
)
def test_what_prefect_would_read_otherwise_is_refused(odd: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        cron.checked(odd, "--cron")
    assert len(str(refused.value)) < 300 and "\n" not in str(refused.value)
