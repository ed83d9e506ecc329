"""The presets that ship with darkroom: TOML files read as package data."""
