"""Whether sample values are linear in light, concluded from the colour profile.

Source: ICC.1:2022, sections 7.2 to 7.3 (structure) and 10.6, 10.18 (curves).
"""

import struct

from darkroom.scan import Encoding

_CURVES = (b"kTRC", b"gTRC", b"rTRC")
_NEARLY_ONE = 0.05  # gamma 1.0, up to rounding and scanner makers' habits


def icc_encoding(icc: bytes | None) -> Encoding:
    """LINEAR or GAMMA by the profile's tone curve; UNKNOWN without a profile or a curve."""
    if not icc or len(icc) < 132:
        return Encoding.UNKNOWN
    try:
        gamma = _tone_gamma(icc)
    except struct.error:
        return Encoding.UNKNOWN
    if gamma is None:
        return Encoding.UNKNOWN
    return Encoding.LINEAR if abs(gamma - 1.0) < _NEARLY_ONE else Encoding.GAMMA


def _tone_gamma(icc: bytes) -> float | None:
    """Exponent of the profile's tone curve, measured at one half for tabulated curves."""
    number = min(struct.unpack_from(">I", icc, 128)[0], 200)
    table = {}
    for i in range(number):
        name, offset, _ = struct.unpack_from(">4sII", icc, 132 + 12 * i)
        table[name] = offset
    for name in _CURVES:
        if name in table:
            return _curve_gamma(icc, table[name])
    return None


def _curve_gamma(icc: bytes, at: int) -> float | None:
    kind = icc[at : at + 4]
    if kind == b"para":
        return float(struct.unpack_from(">i", icc, at + 12)[0]) / 65536
    if kind != b"curv":
        return None
    count = struct.unpack_from(">I", icc, at + 8)[0]
    if count == 0:
        return 1.0
    if count == 1:
        return float(struct.unpack_from(">H", icc, at + 12)[0]) / 256
    middle = struct.unpack_from(">H", icc, at + 12 + 2 * (count // 2))[0] / 65535
    # A straight table gives one half at one half; a gamma curve much less.
    return 1.0 if abs(middle - count // 2 / (count - 1)) < 0.02 else 2.2
