"""With this folder on PYTHONPATH a Python has fake stations: no monkeypatch reaches a served flow."""

import sys

import fake_stations

sys.modules.update(fake_stations.modules())
