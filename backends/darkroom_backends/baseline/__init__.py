"""A yardstick made of scikit-image functions alone, fitted to nothing."""
