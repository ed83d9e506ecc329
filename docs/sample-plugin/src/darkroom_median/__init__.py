"""A sample plugin for darkroom."""
