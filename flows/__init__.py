"""The loop as Prefect flows: one generation, the night's round over all projects, and what serves them."""

from bootstrap.errors import keep_logs_printable

keep_logs_printable()  # Prefect's runners import this package in processes of their own
