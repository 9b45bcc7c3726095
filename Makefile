# make demo   a project from a bundled picture, its first generation, and the review app on port 8501
# make test   the tests          make lint   ruff, mypy, import-linter          make clean   all that these have made
# make soak   what takes too long for make test: a Ray cluster, and twenty runs of each fault
#
# Each target works on a fresh machine: it makes .venv and installs what it needs, once.

PYTHON ?= python3
VENV := .venv
INSTALL := $(VENV)/bin/pip install -c constraints.txt

.PHONY: demo test soak lint clean debian

# With DEMO_ONCE=1 it stops after it has said where the pictures are.
demo: $(VENV)/.demo-installed
	$(VENV)/bin/sid --workspace demo-workspace demo $(if $(DEMO_ONCE),--once)

# Two workers: many tests wait for a server, a browser or a process. A file's tests stay together, with their fixtures.
test: $(VENV)/.test-installed debian
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

soak: $(VENV)/.test-installed debian
	SID_FAULT_RUNS=20 $(VENV)/bin/python -m pytest -m soak tests/flows/test_cluster.py
	SID_FAULT_RUNS=20 $(VENV)/bin/python -m pytest tests/test_faults.py

lint: $(VENV)/.test-installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

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
	$(INSTALL) -e '.[dev,papertown,postgres,cluster]'
	touch $@ $(VENV)/.demo-installed

# The browser tests drive Debian's Chromium, those of the catalog Debian's PostgreSQL; without them they are skipped, each
# with the reason.
debian:
	@missing=; command -v chromium >/dev/null || missing=chromium; \
	    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
	        missing="$$missing postgresql"; \
	    [ -z "$$missing" ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	    { apt-get update && apt-get install -y --no-install-recommends $$missing; } || \
	    echo "could not be installed:$$missing; tests that need it will be skipped" >&2
