"""Which number formats networks compute in.

float32 is the default everywhere, so that a scan comes out alike on every processor, but for the
last bits of sums that libraries add up in another order; a faster one is only taken on request.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

Precision = Literal["float32", "bfloat16"]
PRECISIONS = ("float32", "bfloat16")


def check_precision(precision: str) -> None:
    """Refuse what is no number format.

    Raises:
        ValueError: it is not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {' or '.join(PRECISIONS)}, not {precision!r}")


@contextmanager
def computing(device: Any, precision: str) -> Iterator[None]:
    """Let torch compute in a number format, and in no other, within the context.

    float32 means all of its bits: GPUs would otherwise multiply with the ten bits of TF32.

    Args:
        device: a `torch.device`.
        precision: one of `PRECISIONS`.
    """
    import torch

    with ExitStack() as stack:
        stack.enter_context(
            torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
        )
        if device.type == "cuda" and precision == "float32":
            stack.enter_context(
                torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
            )
        yield


def native_bfloat16(device: Any) -> bool:
    """Whether a `torch.device` multiplies bfloat16 in hardware.

    Emulated, as on processors without AVX512-BF16 or AMX, it is many times slower than float32.
    """
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, check, lambda: False)()) for check in checks)
