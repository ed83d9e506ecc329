"""Which number formats a device computes in natively."""

from typing import Any


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
