"""Keep a workspace in order: the doctor, and rebuilding a lost catalog."""
