"""The `sid` command."""
