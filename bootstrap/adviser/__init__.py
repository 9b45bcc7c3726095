"""Choose the snapshots to draw with: measure each snapshot, and find the two phase changes of a training."""
