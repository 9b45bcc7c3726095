"""From candidates to what is worth a person's look: hashing, duplicates, thumbnails, contact sheet."""
