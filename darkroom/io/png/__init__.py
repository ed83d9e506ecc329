"""PNG, read and written by bands of rows."""
