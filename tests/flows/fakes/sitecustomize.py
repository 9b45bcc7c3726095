"""Give every Python with this folder on PYTHONPATH fake stations: a monkeypatch does not reach a served flow."""

import sys

import fake_stations
import network_guard  # of tests/guard, whose own sitecustomize this one hides

network_guard.watch()

sys.modules.update(fake_stations.modules())
