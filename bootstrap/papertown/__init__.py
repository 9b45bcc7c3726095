"""Paper Town: a small drawn world with exact tags, its embedded base models, and how they were made."""
