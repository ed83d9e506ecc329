"""Where darkroom looks for what is the user's own: one table of paths and variables.

| variable | meaning | default |
|---|---|---|
| `DARKROOM_HOME` | the user's presets, caches | `darkroom` in the user's configuration folder |
| `DARKROOM_SCRATCH` | temporary files of a run | the system's temporary folder |
| `DARKROOM_LOAD_SECONDS` | how long a plugin or backend may take to load | 180 |
"""

import os
import tempfile
import threading
from pathlib import Path

LOAD_SECONDS = 180.0


def user_folder() -> Path:
    """The user's folder; it need not exist."""
    if home := os.environ.get("DARKROOM_HOME"):
        return Path(home)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "darkroom"


def scratch_folder(asked: Path | None = None) -> Path:
    """The folder for temporary files."""
    return asked or Path(os.environ.get("DARKROOM_SCRATCH") or tempfile.gettempdir())


def load_seconds() -> float:
    """How long a plugin or a backend may take to load."""
    try:
        seconds = float(os.environ.get("DARKROOM_LOAD_SECONDS", ""))
    except ValueError:
        seconds = 0.0
    return seconds if 0 < seconds < threading.TIMEOUT_MAX else LOAD_SECONDS
