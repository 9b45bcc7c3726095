"""Keeping a workspace in order: the doctor, and making a lost catalog again."""
