"""What is measured on one picture, and made of it: hashes, quality, features, tags, thumbnails, contact sheets."""
