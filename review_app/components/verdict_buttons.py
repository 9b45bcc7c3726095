"""The buttons that decide, each with its keys."""

from collections.abc import Callable

import streamlit as st

from bootstrap.catalog.candidates import Candidate

# Streamlit keeps R and C for itself, so the letter for reject is X. A second key for the same action is the
# shortcut of a second button, which is not shown.


def verdict_buttons(
    candidate: Candidate,
    decide: Callable[[str, str, str], None],
    undo: Callable[[], None],
    can_undo: bool = True,
) -> None:
    """Put Reject, Undo and Accept in a row.

    Args:
        decide: called with the candidate's id, the verdict, and the verdict that it had when it was shown.
        undo: called without arguments.
    """  # fmt: skip
    # The candidate's id is part of each key, so each picture has buttons of its own. A second press while the
    # next picture is on its way still means the picture that was on the screen, and then does nothing. (With
    # keys that stay, Streamlit also takes a second press for the first one while it is busy with that.)
    one = candidate.id
    reject, accept = (one, "reject", candidate.verdict), (one, "accept", candidate.verdict)
    with st.container(horizontal=True, horizontal_alignment="center", key="verdict-buttons", gap="small"):
        st.button("Reject", key=f"reject-{one}", icon=":material/close:", shortcut="Left",
                  on_click=decide, args=reject, width="stretch", help="Also: X")  # fmt: skip
        st.button("Undo", key=f"undo-{one}", icon=":material/undo:", shortcut="U", type="tertiary",
                  on_click=undo, disabled=not can_undo, help="Also: Ctrl+Z")  # fmt: skip
        st.button("Accept", key=f"accept-{one}", icon=":material/check:", shortcut="Right", type="primary",
                  on_click=decide, args=accept, width="stretch", help="Also: A")  # fmt: skip
    with st.container(key="second-keys"):
        st.button("Reject, by X", key=f"reject-key-{one}", shortcut="X", on_click=decide, args=reject)
        st.button("Undo, by Ctrl+Z", key=f"undo-key-{one}", shortcut="Ctrl+Z", on_click=undo,
                  disabled=not can_undo)  # fmt: skip
        st.button("Accept, by A", key=f"accept-key-{one}", shortcut="A", on_click=decide, args=accept)
