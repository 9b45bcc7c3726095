# make demo   a project from a bundled picture, its first generation, and the review app on port 8501
# make test   all tests          make lint   ruff and mypy          make clean   all that these have made
#
# Each target works on a fresh machine: it makes .venv and installs what it needs, once.

PYTHON ?= python3
VENV := .venv
INSTALL := $(VENV)/bin/pip install -c constraints.txt

.PHONY: demo test lint clean chromium

# With DEMO_ONCE=1 it stops after it has said where the pictures are.
demo: $(VENV)/.demo-installed
	$(VENV)/bin/sid --workspace demo-workspace demo $(if $(DEMO_ONCE),--once)

test: $(VENV)/.test-installed chromium
	$(VENV)/bin/python -m pytest

lint: $(VENV)/.test-installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'sid needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(INSTALL) -e .
	touch $@

$(VENV)/.test-installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(INSTALL) -e '.[dev,papertown]'
	touch $@ $(VENV)/.demo-installed

# The browser tests drive Debian's Chromium; without it they are skipped, each with the reason.
chromium:
	@command -v chromium >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	    { apt-get update && apt-get install -y --no-install-recommends chromium; } || \
	    echo 'chromium could not be installed: the browser tests will be skipped' >&2
