"""With this folder on PYTHONPATH, every Python refuses to ask the network; see network_guard.py."""

import network_guard

network_guard.watch()
