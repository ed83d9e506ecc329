"""The test backends as a plugin, so that files are cleaned through the public door."""

from darkroom.plugins import BackendSpec, hookimpl

HEARD = []


def make_finder(options, *, device):
    from backends import TopHat

    return TopHat()


def make_filler(options, *, device):
    from backends import RingMean

    return RingMean()


@hookimpl
def darkroom_backends():
    return [
        BackendSpec("detector", "tophat", f"{__name__}:make_finder", "t", inpainter="mean"),
        BackendSpec("inpainter", "mean", f"{__name__}:make_filler", "t"),
    ]


@hookimpl
def darkroom_scan_cleaned(cleaned):
    HEARD.append(cleaned)
    if "raise" in cleaned.source:
        raise RuntimeError("a plugin's own fault")
