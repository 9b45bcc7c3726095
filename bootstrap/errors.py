"""The one kind of error that a user can mend."""


class UserError(Exception):
    """A mistake in a setting, a file or a command.

    Its message is one line that names the setting or file, says what is wrong and what to do.
    The command line prints it and exits with code 2; every other exception is ours and exits with 1.
    """


def in_one_line(text: str) -> str:
    """Return a user's text as a message can quote it: a prompt may have several lines."""
    return " ".join(text.split())
