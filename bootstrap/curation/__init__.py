"""From candidates to the review queue, likely picks first: duplicates, scores, ranking, publishing."""
