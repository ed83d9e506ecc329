"""Building, importing, synthesising and inspecting training data."""
