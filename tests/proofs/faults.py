"""Faults of the disk. A library that is preloaded into the service makes them (`faults.c`)."""

import errno
import mmap
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")
LAYOUT = struct.Struct("IiIIII104s")
CALLS = {"write": 1, "sync": 2, "truncate": 4, "open": 8}
ERRORS = ("EIO", "ENOSPC")


@dataclass(frozen=True)
class Fault:
    """A fault of calls on files whose path contains `path`. One call in `every` fails, or is delayed (seconds)."""

    calls: str
    error: str | None
    delay: float = 0.0
    every: int = 1
    path: str = "governance.db"

    @property
    def is_certain(self) -> bool:
        """Whether each such call fails."""
        return self.error is not None and self.every == 1


class Faults:
    """The library, and the file that tells the library what to do."""

    def __init__(self, folder: Path) -> None:
        assert shutil.which("gcc"), "Install gcc (apt-get install gcc libc6-dev): the faults are made by a C library."
        library, control = folder / "faults.so", folder / "faults"
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
        control.write_bytes(bytes(LAYOUT.size))
        with control.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), LAYOUT.size)
        self.environ = {"LD_PRELOAD": str(library), "FAULTS_CONTROL": str(control)}

    def begin(self, fault: Fault) -> None:
        """Begin the fault. The kind of call is written last, because it starts the fault."""
        number = getattr(errno, fault.error) if fault.error else 0
        told = LAYOUT.pack(0, number, round(fault.delay * 1e6), fault.every, 0, 0, fault.path.encode())
        self._map[:] = told
        self._map[:4] = struct.pack("I", CALLS[fault.calls])

    def end(self) -> int:
        """End the fault. Return the number of calls that it hit."""
        self._map[:4] = bytes(4)
        return int(LAYOUT.unpack(self._map[:])[5])

    def close(self) -> None:
        self._map.close()
