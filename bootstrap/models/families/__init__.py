"""The families of base models: one file each, and modules that several families share."""
