"""How much memory is free, to refuse a file before it takes more."""

from __future__ import annotations

from pathlib import Path

from napari_segrefiner.errors import InputError


def available_bytes() -> int | None:
    """Bytes that this process may still take; None where the system does not say.

    The smaller of what the machine has and what a container allows.
    """
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(1024 * int(line.split()[1]))
    except (OSError, ValueError):
        return None
    group = Path("/sys/fs/cgroup")
    try:
        allowed = int((group / "memory.max").read_text("ascii"))
        limits.append(allowed - int((group / "memory.current").read_text("ascii")))
    except (OSError, ValueError):
        pass  # no container, or one without a limit ("max")
    return min(limits) if limits else None


def check_memory(path: Path, needed: int) -> None:
    """Raise InputError if the `needed` bytes of the array in `path` are not free."""
    free = available_bytes()
    if free is not None and needed > free:
        msg = (
            f"{path} holds {needed / 2**30:.1f} GB of pixels but {free / 2**30:.1f} GB "
            "of memory are free; cut it into parts."
        )
        raise InputError(msg)
