"""Detection by the infrared channel that film scanners record."""
