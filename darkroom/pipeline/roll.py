"""Dirt that stays in place, within a run: learnt from the frames of a batch, or given."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from darkroom.codec import Codec
from darkroom.config import scratch_folder
from darkroom.errors import DarkroomError, InputError
from darkroom.geometry import bands
from darkroom.io import CACHE_BYTES, create_scan, open_scan
from darkroom.io.registry import TIFF_SUFFIXES, all_readers
from darkroom.io.scratch import Scratch
from darkroom.options import ROLL_AUTO
from darkroom.pipeline.inputs import Item
from darkroom.pipeline.progress import Progress, Silent, ordered_map
from darkroom.pipeline.request import Request
from darkroom.pipeline.survey import float_white
from darkroom.roll.fixed import NOTHING, RollMap
from darkroom.roll.gather import MOST, Gathered
from darkroom.roll.places import LEAST_PICTURES, find_places
from darkroom.roll.plane import Plane, Reader, log_plane, reduction
from darkroom.roll.shadow import Shadow, shadows
from darkroom.scan import FrameStats, Scan, ScanInfo

ROWS = 256
MAP_SHARE = 0.5  # of a map's pixels are `NOTHING`, at least


class Listener(Progress, Protocol):
    """A listener to the look at a roll."""

    def message(self, text: str) -> None:
        """Something worth knowing."""


def learnt(items: Sequence[Item], request: Request, reporter: Listener) -> RollMap | None:
    """Where dirt stays on the frames of a batch, where that is wanted and can be told.

    Args:
        items: the files; those with errors are passed over.
        request: what is asked for.
        reporter: told how far it is, and what came of it.
    """
    sources = [item.source for item in items if item.error is None]
    wanted = request.options.reference == ROLL_AUTO and not request.mask_given
    if not wanted or len(sources) < LEAST_PICTURES:
        return None
    looked = gather(sources, request, reporter)
    if looked is None or looked[0].seen < LEAST_PICTURES:
        return None
    roll, frame = looked
    if roll.pictures < LEAST_PICTURES:
        reporter.message(
            f"looked at {roll.seen} frames for dirt that stays in place: they show only "
            f"{roll.pictures} different pictures, which is too few to tell"
        )
        return None
    found = _made(roll, frame)
    count = len(found.places)
    what = "none" if not count else f"{count} place{'s' * (count > 1)}"
    reporter.message(f"looked at {roll.seen} frames for dirt that stays in place: {what} found")
    return found if count else None


def made_of(items: Sequence[Item], request: Request, reporter: Progress) -> RollMap:
    """The map of a roll, or of blank frames, that was asked for.

    Raises:
        InputError: a file cannot be read, or the frames are too few or too alike to tell.
    """
    for item in items:
        if item.error is not None:
            raise item.error
    sources = [item.source for item in items]
    looked = gather(sources, request, reporter)
    if looked is None:
        raise InputError("none of the frames can be read", hint="`darkroom inspect` says why.")
    roll, frame = looked
    if roll.pictures >= LEAST_PICTURES:
        return _made(roll, frame)
    again = gather(sources, request, reporter, blank=True)
    if again is not None and again[0].even:
        return _made(*again)
    raise InputError(
        f"{roll.seen} frame{'s' * (roll.seen != 1)} of one size, {roll.pictures} of different "
        f"pictures: too few to tell what stays in place (at least {LEAST_PICTURES})",
        hint="Give more frames of the roll, or a single blank one.",
    )


def given_map(path: Path, request: Request, limits: dict[str, Any]) -> RollMap:
    """The map in a file, or made of the blank frame in it.

    Args:
        path: what `darkroom detect --roll` wrote, or a scan of nothing.
        request: the plugins and the machine.
        limits: how it is opened.

    Raises:
        InputError: it is neither, or cannot be read.
    """
    with open_scan(path, readers=all_readers(request.plugins), **limits) as scan:
        info = scan.info
        if info.samples == 1 and info.dtype == np.uint16:
            rows = [
                (window.y, scan.read(window)[..., 0])
                for window in bands(info.width, info.height, ROWS)
            ]
            same = sum(int((part == NOTHING).sum()) for _, part in rows)
            if same >= MAP_SHARE * info.width * info.height:
                return RollMap.from_picture(rows, info.width, info.height)
    looked = gather([path], request, Silent(), blank=True)
    if looked is None or not looked[0].even:
        raise InputError(
            f"{path}: neither the map of a roll nor a blank frame",
            hint="`darkroom detect --roll` makes a map.",
        )
    return _made(*looked)


def gather(
    sources: Sequence[Path], request: Request, reporter: Progress, *, blank: bool = False
) -> tuple[Gathered, tuple[int, int]] | None:
    """Look at the frames of the commonest size, at `MOST` of them evenly over the roll.

    Args:
        sources: the files; what cannot be read is passed over, as the run will say why.
        request: what is asked for.
        reporter: told how far it is.
        blank: the frames are said to show nothing but dirt.

    Returns:
        What they add up to and (width, height) of the frames, or None where no frame could be
        opened.
    """
    import cv2

    cv2.setNumThreads(1)  # as in a run
    sizes = {path: size for path in sources if (size := _size(path, request)) is not None}
    if not sizes:
        return None
    (width, height), _ = Counter(sizes.values()).most_common(1)[0]
    alike = [path for path, size in sizes.items() if size == (width, height)]
    if len(alike) > MOST:
        alike = [alike[i * len(alike) // MOST] for i in range(MOST)]
    scale = reduction(width, height)
    roll = Gathered(height // scale, width // scale, blank=blank)
    jobs = request.machine.threads
    reporter.stage("looking for dirt that stays in place", width * height * len(alike))
    with ThreadPoolExecutor(jobs) as pool:

        def spread(work: Callable[[Any], Any], parts: Any) -> Iterator[Any]:
            return ordered_map(pool, work, parts, jobs + 1)

        for path in alike:
            try:
                plane = _plane(path, request, spread)
            except DarkroomError:
                continue  # its own run will say why
            roll.add(plane, spread)
            reporter.advance(width * height)
    return roll, (width, height)


def _size(path: Path, request: Request) -> tuple[int, int] | None:
    try:
        with _open(path, request) as scan:
            return scan.info.width, scan.info.height
    except DarkroomError:
        return None


def _plane(path: Path, request: Request, spread: Any) -> Plane:
    with _open(path, request) as scan:
        info = scan.info
        read = _encoded(scan, Codec.of(info, float_white(scan)))
        return log_plane(read, info.width, info.height, spread)


def _encoded(scan: Scan, codec: Codec) -> Reader:
    """Reads a scan without its further samples, gamma-encoded."""
    channels = scan.info.channels
    return lambda window: codec.encode(scan.read(window)[..., :channels])


def _open(path: Path, request: Request) -> Scan:
    machine = request.machine
    return open_scan(
        path,
        readers=all_readers(request.plugins),
        cache_bytes=min(CACHE_BYTES, machine.max_memory // 8),
        max_pixels=machine.max_pixels,
        scratch=Scratch(scratch_folder(machine.scratch), memory=machine.max_memory // 2),
    )


def _made(roll: Gathered, frame: tuple[int, int]) -> RollMap:
    width, height = frame
    made = {"pictures": roll.pictures, "frames": roll.seen}
    return RollMap.enlarged(find_places(roll), reduction(width, height), width, height, **made)


def account(roll: RollMap) -> dict[str, Any]:
    """What a receipt says of a map."""
    return {
        "places": len(roll.places),
        "sha256": roll.digest,
        "pictures": roll.pictures,
        "frames": roll.frames,
    }


def thin_places(scan: Scan, codec: Codec, stats: FrameStats, roll: RollMap) -> list[Shadow]:
    """The places of a map where a frame shows dirt that it can be seen through."""
    return list(shadows(_encoded(scan, codec), stats.frame, roll.places))


def write_map(roll: RollMap, path: Path, *, overwrite: bool) -> None:
    """Write a map as a picture: 16-bit grey, PNG or TIFF by the name.

    Raises:
        OutputError: the file exists or cannot be written.
    """
    info = ScanInfo(path, "map", roll.width, roll.height, 1, np.dtype(np.uint16))
    compression = "deflate" if path.suffix.lower() in TIFF_SUFFIXES else None
    sink = create_scan(path, info, compression=compression, overwrite=overwrite)
    try:
        for window in bands(roll.width, roll.height, ROWS):
            sink.write_rows(roll.rows(window)[..., None])
        sink.commit()
    finally:
        sink.abort()
