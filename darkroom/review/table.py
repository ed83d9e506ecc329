"""What there is once the marks of a scan are known: mask, repairs and the repaired picture."""

from darkroom.io.scratch import Spool
from darkroom.pipeline.cutting import Cutter
from darkroom.pipeline.engine import load_engine
from darkroom.pipeline.repair import Repair
from darkroom.pipeline.survey import survey
from darkroom.review.live import LiveRepairs
from darkroom.review.marks import LiveMask, State
from darkroom.review.picture import Picture
from darkroom.review.sources import Sources
from darkroom.review.wire import Wire

BAND = 256  # rows; of no matter to single repairs


class Table:
    """What there is once the marks of a scan are known.

    Args:
        sources: what is open for the scan.
        found: uint8 spool of what was found.
        state: what was decided before; names of vetoed marks are filled in.
        repaired: uint8 spool of what was repaired in the result that is there, or None.
    """

    def __init__(
        self, sources: Sources, found: Spool, state: State, repaired: Spool | None
    ) -> None:
        request, scan = sources.request, sources.scan
        options = request.options
        engine = load_engine(options, request.machine.device, request.plugins, mask_given=True)
        self.mask = LiveMask(found, sources.spool())
        vetoed = sources.vetoed_names(self.mask)
        self.state = State(vetoed, state.edits)
        self.mask.redraw([scan.info.window], self.state)
        repair = Repair(
            Cutter(scan, sources.codec),
            self.mask.live,
            engine.inpainter,
            None,
            survey(scan, sources.codec, options.polarity),
            None,
            options.grain,
            options.seed,
            BAND,
        )
        earlier = None if repaired is None else sources.earlier(repaired, engine)
        self.repairs = LiveRepairs(repair, self.mask, earlier)
        self.wire = Wire(self.mask, sources.picture.upright)
        self.after = Picture(scan, sources.picture.view, self.repairs.read)
        self.after.begin_like(sources.picture)
