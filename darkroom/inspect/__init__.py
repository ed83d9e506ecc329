"""What a file holds, what of it is the scan, and what cleaning would keep of it."""

from darkroom.inspect.film import FilmGuess, guess_film
from darkroom.inspect.look import inspect_file
from darkroom.inspect.preview import write_preview
from darkroom.inspect.report import FileReport, InfraredReport, PageReport, TagReport

__all__ = [
    "FileReport",
    "FilmGuess",
    "InfraredReport",
    "PageReport",
    "TagReport",
    "guess_film",
    "inspect_file",
    "write_preview",
]
