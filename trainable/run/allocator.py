"""Let a process keep the memory it frees, instead of giving it back to the system and faulting it in again.

A training step frees and takes again some 4.6 MB an image (`python -m benchmarks --rows peak`), in pieces that an
allocator would map and unmap one by one: at large batches that is much of a step's time (`benchmarks.step_profile`).
Knows glibc's, and jemalloc, which Ray brings and lends to its workers. Other allocators are left as they are.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

# glibc's names for mallopt.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_TOP_PAD_BYTES = 64 * 2**20
_DECAY = ("dirty_decay_ms", "muzzy_decay_ms")


def keep_freed_memory() -> None:
    """From now on what this process frees stays its own, also between the trials that follow each other in it."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        if uses_jemalloc():
            arenas = ctypes.c_uint()
            libc.mallctl(b"arenas.narenas", ctypes.byref(arenas), ctypes.byref(ctypes.c_size_t(4)), None, 0)
            # Those to come, and those that are in use already; the others answer with an error, which is right.
            for place in ("arenas", *(f"arena.{number}" for number in range(arenas.value))):
                for decay in _DECAY:
                    never = ctypes.c_ssize_t(-1)
                    libc.mallctl(f"{place}.{decay}".encode(), None, None, ctypes.byref(never), ctypes.sizeof(never))
            return
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, -1)
        libc.mallopt(_TOP_PAD, _TOP_PAD_BYTES)


def uses_jemalloc() -> bool:
    """Whether jemalloc has taken malloc's place in this process."""
    return hasattr(ctypes.CDLL(None), "mallctl")
