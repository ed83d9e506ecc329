"""TIFF and what is built like one: directories, pages, pixels, and a writer that streams."""
