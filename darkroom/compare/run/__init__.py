"""Running backends and yardsticks on every picture, and keeping what came of it."""
