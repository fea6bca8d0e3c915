"""Loads the list of model prices from an installed package in a thread, and returns prices from the list.

A worker starts this thread when the worker starts. In any other process, the thread starts when a caller first needs a
price from the list.
"""

import gc
import logging
from collections.abc import Callable, Sequence
from importlib import import_module
from threading import Event, Lock, Thread
from typing import Any

from governance.domain.errors import Code, Unavailable
from governance.domain.gc_pause import pause_gc
from governance.domain.pricing.listed import ListedModel, ListInfo, ListStatus
from governance.domain.pricing.schedule import EffectivePrice

logger = logging.getLogger("governance.services")

MODULE = "governance.services.pricing.genai_prices_list"
PATIENCE = 1.0
"""The longest time that a request waits for the list, in seconds."""
COMMAND_PATIENCE = 30.0
"""The longest time that a command waits for the list, in seconds."""
LOADING = "Try again shortly: the list of prices is still being loaded."
FAILED = "The list of prices could not be loaded, so only overrides have prices: look at the log, and install anew."


class PriceList:
    """The prices of the installed list. `load` returns the module that contains the prices."""

    def __init__(self, load: Callable[[], Any] = lambda: import_module(MODULE)) -> None:
        self._load = load
        self._module: Any = None
        self._lock = Lock()
        self._thread: Thread | None = None
        self._done = Event()
        self.info = ListInfo(ListStatus.LOADING)

    def start(self) -> None:
        """Start to load the list. A second call has no effect."""
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="price-list", daemon=True)
                self._thread.start()

    def wait(self, seconds: float = PATIENCE) -> None:
        """Wait until loading has ended. Raises Unavailable if it has not ended after `seconds`."""
        self.start()
        if not self._done.wait(seconds):
            raise Unavailable(LOADING, code=Code.NOT_READY)

    @property
    def is_final(self) -> bool:
        """Whether loading has ended, with success or with an error."""
        return self._done.is_set()

    def find(self, provider: str, model: str) -> ListedModel | None:
        """Return the entry of a model with these canonical names, or None.

        The result is None if the list does not contain the model, or if the list is not loaded.
        """
        found: ListedModel | None = self._module.find(provider, model) if self._module else None
        return found

    def prices(self, provider: str, model: str) -> Sequence[EffectivePrice]:
        """Return the prices of a model, in order of preference.

        The result is empty if the list does not contain the model. A price without a rate for input tokens is left out,
        because it counts as unknown, not as free (docs/contract.md §9).
        """
        found = self.find(provider, model)
        return [each for each in found.prices if each.price.rates.input is not None] if found else ()

    def page(self, provider: str | None, search: str, begin: int, most: int) -> tuple[list[ListedModel], int]:
        """Return up to `most` entries, starting at index `begin`, sorted by provider and model.

        Also return the number of all entries that match. `search` is a case-folded part of `provider/model`. `provider`
        is a canonical name, or None for all providers.
        """
        if self._module is None:
            return [], 0
        found: tuple[list[ListedModel], int] = self._module.page(provider, search, begin, most)
        return found

    def _run(self) -> None:
        try:
            with pause_gc():
                module = self._load()
                info = ListInfo(ListStatus.LOADED, module.VERSION, module.dates())
            gc.freeze()
            self._module, self.info = module, info
        except Exception:
            logger.exception("the list of prices could not be loaded")
            self.info = ListInfo(ListStatus.FAILED)
        finally:
            self._done.set()
