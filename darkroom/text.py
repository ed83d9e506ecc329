"""Text from files and other people, made fit to be printed."""

import re

# C0 and C1 controls, which start terminal escapes; marks that turn the direction of writing; line
# and paragraph separators; and bytes of file names that are no UTF-8.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str, keep: str = "") -> str:
    r"""The text with every control character written out: an escape becomes `\x1b`.

    Names of files, profiles, tags and headers of files may hold anything; printed raw, they could
    move the cursor, change colours or hide what stands before them.

    Args:
        text: any text.
        keep: control characters that stay, such as line ends.
    """
    return _UNSAFE.sub(lambda found: _written(found[0], keep), text)


def _written(character: str, keep: str) -> str:
    if character in keep:
        return character
    if "\udc80" <= character <= "\udcff":  # a byte, as Python holds it in names of files
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
