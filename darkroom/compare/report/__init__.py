"""The page, its drawings and its pictures."""
