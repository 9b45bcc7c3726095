"""From candidates to what is worth a person's look, likely picks first: duplicates, scores, ranking, thumbnails."""
