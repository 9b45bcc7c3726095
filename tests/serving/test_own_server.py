"""The login of a workspace's own server: private, made once, and for that server alone."""

from pathlib import Path

import pytest

from bootstrap.errors import UserError
from bootstrap.serving import own_server

URL = "http://127.0.0.1:4200/api"


def test_the_login_is_made_once_and_private(tmp_path: Path) -> None:
    login = own_server.login(tmp_path)
    user, _, password = login.partition(":")
    assert user == "sid" and len(password) > 40
    path = tmp_path / own_server.LOGIN_FILE
    assert path.read_text() == f"{login}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)  # as after a copy
    assert own_server.login(tmp_path) == login
    assert path.stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").mkdir()
    assert own_server.login(tmp_path / "other") != login


def test_only_the_own_server_gets_it(tmp_path: Path) -> None:
    login = own_server.login(tmp_path)
    assert own_server.login_for(tmp_path, URL) is None  # none runs
    own_server.record(tmp_path, URL)
    assert own_server.login_for(tmp_path, URL) == login
    assert own_server.login_for(tmp_path, "http://localhost:4200/api/") == login
    for elsewhere in (
        "http://127.0.0.1:4201/api", "http://prefect.example:4200/api", "http://127.0.0.1.example:4200/api",
        "http://user@127.0.0.2:4200/api", "https://127.0.0.1:4200/api", "nonsense", "http://127.0.0.1:x/api", "",
    ):  # fmt: skip
        assert own_server.login_for(tmp_path, elsewhere) is None, elsewhere
    own_server.forget(tmp_path, "http://127.0.0.1:4201/api")
    assert own_server.login_for(tmp_path, URL) == login
    own_server.forget(tmp_path, URL)
    assert own_server.login_for(tmp_path, URL) is None


@pytest.mark.parametrize(
    "text", ["", "\n", "nobody", "user:", ":password", "user:two\nlines", "us\x00er:word"]
)
def test_a_damaged_login_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / own_server.LOGIN_FILE).write_text(text)
    with pytest.raises(UserError, match=r"holds no login; delete it"):
        own_server.login(tmp_path)
