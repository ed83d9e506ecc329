"""Measuring what a backend gains and what it harms."""
