"""Pairs of a scan and its ground truth: found, identified, split, read and handed to trainers."""
