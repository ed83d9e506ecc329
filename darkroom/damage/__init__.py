"""Damage of film: what a retoucher removed, and damage, look-alikes and grain that are made."""
