"""Paper Town Two: the same town with whole people, seen from three sides, at three distances, in five poses."""
