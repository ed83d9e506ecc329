"""The backends that ship with darkroom; each is a plugin like any other."""
