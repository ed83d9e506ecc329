"""Integer windows and grids of tiles: pure functions over pixel coordinates."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels; `x`, `y` is its upper left corner and may lie outside an image."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 0 or self.height < 0:
            raise ValueError(f"negative size: {self}")

    @property
    def right(self) -> int:
        """First column past the window."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row past the window."""
        return self.y + self.height

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns) to index an array whose origin is the image's."""
        return slice(self.y, self.bottom), slice(self.x, self.right)

    def grow(self, n: int) -> "Window":
        """The window with `n` pixels more on each side."""
        return Window(self.x - n, self.y - n, self.width + 2 * n, self.height + 2 * n)

    def shift(self, dx: int, dy: int) -> "Window":
        """The window moved by `dx` columns and `dy` rows."""
        return Window(self.x + dx, self.y + dy, self.width, self.height)

    def intersect(self, other: "Window") -> "Window":
        """The common part; of zero area where there is none."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Window(x, y, max(0, right - x), max(0, bottom - y))

    def clip(self, width: int, height: int) -> "Window":
        """The part inside an image of `width` x `height` pixels."""
        return self.intersect(Window(0, 0, width, height))

    def union(self, other: "Window") -> "Window":
        """The smallest window that holds both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right, bottom = max(self.right, other.right), max(self.bottom, other.bottom)
        return Window(x, y, right - x, bottom - y)

    def contains(self, other: "Window") -> bool:
        """Whether every pixel of `other` lies inside."""
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def relative_to(self, other: "Window") -> "Window":
        """The same pixels, in coordinates whose origin is the corner of `other`."""
        return self.shift(-other.x, -other.y)


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is not below `value`."""
    return -(-value // multiple) * multiple


@dataclass(frozen=True, slots=True)
class Tiling:
    """One cell of a grid: the pixels it answers for, and the pixels it may look at."""

    core: Window
    read: Window


@dataclass(frozen=True, slots=True)
class Grid:
    """Cuts an image into cores that touch and never overlap, each with a halo to look at.

    Core origins, halos and the ends of read windows are multiples of `align`, counted from the
    image's corner, so that a network which halves its input several times sees the same phase
    in every tile: its result then does not depend on the tile size. Read windows stick out of
    the image by the halo (and by what alignment adds); readers pad there by reflection.

    Args:
        width: image columns.
        height: image rows.
        core: side of a core in pixels, rounded up to `align`.
        halo: context on each side in pixels, rounded up to `align`.
        align: what the sizes and origins of read windows must be multiples of.
    """

    width: int
    height: int
    core: int
    halo: int = 0
    align: int = 1

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.core, self.align) < 1 or self.halo < 0:
            raise ValueError(f"empty or negative grid: {self}")

    @property
    def side(self) -> int:
        """The side of a full core after alignment."""
        return round_up(self.core, self.align)

    @property
    def columns(self) -> int:
        """Number of tiles in a row."""
        return -(-self.width // self.side)

    @property
    def rows(self) -> int:
        """Number of rows of tiles."""
        return -(-self.height // self.side)

    def __len__(self) -> int:
        return self.columns * self.rows

    def __iter__(self) -> Iterator[Tiling]:
        for row in range(self.rows):
            yield from self.row(row)

    def row(self, row: int) -> Iterator[Tiling]:
        """The tiles of one row, left to right."""
        halo = round_up(self.halo, self.align)
        for column in range(self.columns):
            x, y = column * self.side, row * self.side
            core = Window(x, y, self.side, self.side).clip(self.width, self.height)
            padded = Window(
                x, y, round_up(core.width, self.align), round_up(core.height, self.align)
            )
            yield Tiling(core, padded.grow(halo))


def bands(width: int, height: int, rows: int) -> Iterator[Window]:
    """Full-width windows of at most `rows` rows, top to bottom."""
    for y in range(0, height, rows):
        yield Window(0, y, width, min(rows, height - y))
