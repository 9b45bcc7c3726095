"""`python -m bootstrap` is the `sid` command."""

from bootstrap.cli import main

main()
