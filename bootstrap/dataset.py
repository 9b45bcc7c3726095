"""The dataset: the original plus all picks, each with its caption; how it grows and leaves the house."""
