"""Give every Python with this folder on PYTHONPATH fake stations: a monkeypatch does not reach a served flow."""

import sys

import fake_stations

sys.modules.update(fake_stations.modules())
