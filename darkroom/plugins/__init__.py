"""Discovery of plugins and the hooks they may implement."""

from darkroom.plugins.hookspecs import hookimpl
from darkroom.protocols import BackendSpec, Cleaned, ReaderSpec, WriterSpec

__all__ = ["BackendSpec", "Cleaned", "ReaderSpec", "WriterSpec", "hookimpl"]
