"""A page on one's own machine that shows what was repaired and takes back what was wrong."""
