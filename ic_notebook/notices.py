"""What a person should know while something takes its time: logged, and shown by every face that watches."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from ic_notebook.background import reset_after_fork

logger = logging.getLogger("ic_notebook")


class Notices:
    """The sentences that hold at this moment; the latest is shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: list[str] = []
        self._watchers: list[Callable[[], None]] = []
        reset_after_fork(self)

    @property
    def latest(self) -> str | None:
        """The sentence to show, or None."""
        shown = self._shown
        return shown[-1] if shown else None

    @contextlib.contextmanager
    def showing(self, text: str) -> Iterator[None]:
        """Show a sentence for as long as this lasts; a sentence that is shown already is logged once."""
        with self._lock:
            new = text not in self._shown
            self._shown.append(text)
        if new:
            logger.warning("%s", text)
        self._tell()
        try:
            yield
        finally:
            with self._lock:
                self._shown.remove(text)
            self._tell()

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called, on any thread, whenever the sentence changes; returns what ends it."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback) if callback in self._watchers else None

    def after_fork(self) -> None:
        """In a forked child: the lock and what is shown are the parent's."""
        self._lock = threading.Lock()
        self._shown, self._watchers = [], []

    def _tell(self) -> None:
        for callback in list(self._watchers):
            callback()


notices = Notices()
