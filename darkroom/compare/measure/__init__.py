"""Counting what a restoration gains and harms on one picture."""
