"""Whether sample values are linear in light, concluded from the colour profile.

Source: ICC.1:2022, sections 7.2 to 7.3 (structure) and 10.6, 10.18 (curves).
"""

import io
import struct

from darkroom.scan import Encoding

_CURVES = (b"kTRC", b"gTRC", b"rTRC")
_LINEAR_LIGHTNESS = 68.0  # half of full scale is L* 76 where linear, 62 with gamma 1.8
_NEARLY_ONE = 0.05  # gamma 1.0, up to rounding and scanner makers' habits


def icc_encoding(icc: bytes | None) -> Encoding:
    """LINEAR or GAMMA by the profile's tone curve; UNKNOWN without a profile or a curve."""
    return icc_judgement(icc)[0]


def icc_judgement(icc: bytes | None) -> tuple[Encoding, str]:
    """The encoding that a profile means, and what in it says so.

    Profiles of scanners are often tables without a tone curve; there the lightness that the
    profile gives a grey of half the device's scale tells the curve.
    """
    if not icc or len(icc) < 132:
        return Encoding.UNKNOWN, "there is no ICC profile"
    try:
        gamma = _tone_gamma(icc)
    except struct.error:
        gamma = None
    if gamma is not None:
        linear = abs(gamma - 1.0) < _NEARLY_ONE
        text = "tone curve of the ICC profile: " + ("straight" if linear else f"gamma {gamma:.2f}")
        return (Encoding.LINEAR if linear else Encoding.GAMMA), text
    lightness = _lightness_of_middle_grey(icc)
    if lightness is None:
        return Encoding.UNKNOWN, "the ICC profile does not say"
    linear = lightness > _LINEAR_LIGHTNESS
    text = f"the ICC profile gives half of full scale a lightness L* of {lightness:.0f}"
    return (Encoding.LINEAR if linear else Encoding.GAMMA), text


def _lightness_of_middle_grey(icc: bytes) -> float | None:
    """CIE L* (0 to 100) of device grey 0.5 by the profile's own tables, or None."""
    from PIL import Image, ImageCms

    try:
        mode = {b"RGB ": "RGB", b"GRAY": "L"}[icc[16:20]]
        grey = Image.new(mode, (1, 1), 128 if mode == "L" else (128, 128, 128))
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        lab = ImageCms.createProfile("LAB")
        transform = ImageCms.buildTransform(profile, lab, mode, "LAB")
        pixel = transform.apply(grey).getpixel((0, 0))
    except (KeyError, OSError, ImageCms.PyCMSError):
        return None
    return float(pixel[0]) / 2.55 if isinstance(pixel, tuple) else None


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


def linear_srgb_profile() -> bytes:
    """An ICC profile of sRGB's primaries with straight curves, for developed camera raw files.

    Without it, viewers would show linear samples as if they were gamma-encoded: far too dark.
    Colorants are those of IEC 61966-2-1 adapted to D50.
    """

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))

    name = b"Linear sRGB"
    title = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + bytes(1 + 8 + 3 + 67)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)
    parts = {
        b"desc": title,
        b"cprt": b"text\0\0\0\0no copyright, use freely\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.43607, 0.22249, 0.01392),
        b"gXYZ": xyz(0.38515, 0.71687, 0.09708),
        b"bXYZ": xyz(0.14307, 0.06061, 0.71410),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body, start = struct.pack(">I", len(parts)), b"", 132 + 12 * len(parts)
    for tag, data in parts.items():
        table += struct.pack(">4sII", tag, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    kind = (b"mntr", b"RGB ", b"XYZ ")
    header = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02100000, *kind)
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    return header.ljust(128, b"\0") + table + body
