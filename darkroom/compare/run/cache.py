"""Results kept by the content of what they came from, so that nothing is computed twice."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.io.atomic import AtomicFile, writing
from darkroom.io.together import put_right

Entry = dict[str, NDArray[Any]]


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(parts: Mapping[str, Any]) -> str:
    """A key for everything a result depends on; equal parts in any order give one key."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """A folder of entries. Several processes may use it at once; a damaged entry is no entry."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where the entry of a key lies."""
        return self.root / key[:2] / f"{key[2:]}.npz"

    def get(self, key: str) -> Entry | None:
        """The entry, or None."""
        try:
            with np.load(self.path(key), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
            return None

    def put(self, key: str, entry: Mapping[str, NDArray[Any]]) -> None:
        """Keep an entry; readers see it whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        path = self.path(key)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with AtomicFile(path, overwrite=True) as partial:
            with writing(path):
                np.savez_compressed(partial.file, **dict(entry))  # type: ignore[arg-type]
            partial.commit()

    def put_right(self) -> list[str]:
        """Remove what killed runs left, see `darkroom.io.together.put_right`."""
        return [text for folder in self.root.glob("??") for text in put_right(folder)]


def pack_json(value: Any) -> NDArray[np.uint8]:
    """Anything JSON can hold, as an array for an entry."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def unpack_json(array: NDArray[np.uint8]) -> Any:
    """The inverse of `pack_json`."""
    return json.loads(array.tobytes())
