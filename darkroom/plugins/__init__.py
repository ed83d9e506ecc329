"""Discovery of plugins and the hooks they may implement."""

from darkroom.plugins.hookspecs import hookimpl
from darkroom.protocols import BackendSpec, Cleaned, ReaderSpec, TrainableSpec, WriterSpec

__all__ = ["BackendSpec", "Cleaned", "ReaderSpec", "TrainableSpec", "WriterSpec", "hookimpl"]
