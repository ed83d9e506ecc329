"""The entry points of installed distributions, read one distribution at a time.

`importlib.metadata.entry_points` raises at the first `entry_points.txt` that is damaged, of
whatever package; here that costs the package itself only.
"""

import importlib.metadata
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["active", "failed", "duplicate"]


@dataclass(slots=True)
class PluginRecord:
    """What became of one entry point.

    Attributes:
        name: entry point name.
        target: the dotted string it points to.
        dist: distribution that declares it.
        version: that distribution's version.
        state: "active", "failed" (its hooks are not used) or "duplicate" (its name was taken).
        error: what went wrong, one line.
        offers: what it announced, e.g. "detector classical".
    """

    name: str
    target: str
    dist: str
    version: str
    state: State = "active"
    error: str | None = None
    offers: tuple[str, ...] = ()

    def fail(self, error: BaseException | str) -> None:
        """Mark as failed, with the exception's type and message on one line."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        self.state, self.error = "failed", " ".join(text.split())


def entry_points(
    group: str,
) -> Iterator[importlib.metadata.EntryPoint | tuple[str, str, Exception]]:
    """The entry points of a group, of the first distribution of each name on the path.

    Yields:
        An entry point; or name, version and error of a distribution whose file names the group
        and cannot be read.
    """
    seen: set[str] = set()
    for dist in importlib.metadata.distributions():
        try:
            text = dist.read_text("entry_points.txt") or ""
            name = re.sub(r"[-_.]+", "-", known_of(dist)[0]).lower()
            if name in seen or group not in text:
                seen.add(name)
                continue
            seen.add(name)
            yield from dist.entry_points.select(group=group)
        except Exception as error:
            yield (*known_of(dist), error)


def known_of(dist: importlib.metadata.Distribution) -> tuple[str, str]:
    """(name, version), from the folder's name where the metadata do not say."""
    name, _, version = getattr(getattr(dist, "_path", None), "stem", "unknown").partition("-")
    try:
        return str(dist.metadata["Name"] or name), str(dist.metadata["Version"] or version or "0")
    except Exception:
        return name, version or "0"
