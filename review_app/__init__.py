"""The review app: Streamlit pages, thin over `bootstrap`. Started by `sid review`."""
