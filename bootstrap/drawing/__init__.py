"""From shots to candidates."""
