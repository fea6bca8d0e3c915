"""Pauses garbage collection while millions of values are created.

While they are created, garbage collection would take a third of the time and free little memory.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_gc() -> Iterator[None]:
    """Pause the cyclic garbage collector inside the block.

    Use this in commands, while the service starts, and in rare tasks such as a sync. Do not use it for each request.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
