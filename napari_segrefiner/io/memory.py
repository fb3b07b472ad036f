"""How much memory is free, to refuse a file before it takes more."""

from __future__ import annotations

from pathlib import Path

from napari_segrefiner.errors import InputError

#: Where Linux tells of the machine's memory, and of what a container may use of it.
MACHINE, CONTAINER = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def available_bytes() -> int | None:
    """Bytes that this process may still take; None where the system does not say.

    The smaller of what the machine has and what a container allows.
    """
    limits = []
    try:
        for line in MACHINE.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(1024 * int(line.split()[1]))
    except (OSError, ValueError):
        return None
    try:
        allowed = int((CONTAINER / "memory.max").read_text("ascii"))
        used = int((CONTAINER / "memory.current").read_text("ascii"))
        limits.append(allowed - used + _reclaimable_bytes())
    except (OSError, ValueError):
        pass  # no container, or one without a limit ("max")
    return min(limits) if limits else None


def _reclaimable_bytes() -> int:
    """Bytes of a container's copies of files: used, but free as soon as needed."""
    entries = (CONTAINER / "memory.stat").read_text("ascii").splitlines()
    pairs = (entry.split() for entry in entries)
    return sum(int(n) for name, n in pairs if name in ("active_file", "inactive_file"))


def check_memory(path: Path | str, needed: int) -> None:
    """Raise InputError if the `needed` bytes of the array in `path` are not free."""
    free = available_bytes()
    if free is not None and needed > free:
        msg = (
            f"{path} holds {needed / 2**30:.1f} GB of pixels but {free / 2**30:.1f} GB "
            "of memory are free; cut it into parts."
        )
        raise InputError(msg)
