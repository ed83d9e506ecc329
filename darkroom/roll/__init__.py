"""Dirt that stays in place over a roll: found where pictures differ, divided out where thin."""
