"""What lies beside scans and is none: folders of other programs, and files that darkroom made."""

# Thumbnails of Synology, QNAP and macOS archives, and what was thrown away.
FOREIGN_FOLDERS = frozenset({"@eaDir", "@__thumb", "__MACOSX", "#recycle", "lost+found"})
RECEIPT_ENDING = ".receipt.json"  # after the whole name of an output
