"""The `sid` command. main.py runs it; each other file holds the verbs of one subject."""
