"""`sid review`: reports in one line what it cannot do, and slows down no other verb."""

import socket
import subprocess
import sys

import pytest

from bootstrap.errors import UserError
from review_app import cli


def test_a_busy_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}"):
            cli.check_port("127.0.0.1", port)
    cli.check_port("127.0.0.1", port)


def test_the_verb_costs_other_verbs_no_import() -> None:
    program = "import sys, review_app.cli; print('streamlit' in sys.modules, 'torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


def test_the_app_needs_no_torch_and_no_flows() -> None:
    program = (
        "import importlib, pkgutil, sys, review_app.pages, review_app.server\n"
        "for one in pkgutil.iter_modules(review_app.pages.__path__):\n"
        "    if one.name != 'app': importlib.import_module(f'review_app.pages.{one.name}')\n"
        "print([one for one in ('torch', 'flows', 'prefect') if one in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
