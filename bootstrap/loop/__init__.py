"""The loop: one generation, station by station; mending candidates; the forecast of a run."""
