"""Which snapshot to draw with: each one measured, the two phase changes found."""
