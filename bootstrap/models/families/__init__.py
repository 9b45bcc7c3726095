"""The families of base models: a file each, and what several of them share."""
