"""Figures from counts, with intervals and tests over photographs."""
