"""Camera raw files, developed by LibRaw."""
