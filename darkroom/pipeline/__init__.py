"""The path of a scan through `darkroom clean`."""
