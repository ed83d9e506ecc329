"""Readers and writers of scans."""

from darkroom.io.infrared import open_infrared
from darkroom.io.registry import CACHE_BYTES, MAX_PIXELS, create_scan, open_scan, scan_suffixes
from darkroom.io.scratch import Scratch
from darkroom.io.sink import ScanSink

__all__ = [
    "CACHE_BYTES",
    "MAX_PIXELS",
    "ScanSink",
    "Scratch",
    "create_scan",
    "open_infrared",
    "open_scan",
    "scan_suffixes",
]
