"""What only speeds up small models on a CPU."""
