"""`python -m bootstrap` is the `sid` command."""

from bootstrap.cli.main import main

main()
