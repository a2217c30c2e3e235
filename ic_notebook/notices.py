"""What a person should know while something takes its time: logged, and shown by every face that watches."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from ic_notebook.background import reset_after_fork

logger = logging.getLogger("ic_notebook")


class _Notice:
    """One sentence, of one caller: two that read the same end each for itself."""

    def __init__(self, text: str, topic: str) -> None:
        self.text, self.topic = text, topic


class Notices:
    """The sentences that hold at this moment; the latest is shown."""

    def __init__(self) -> None:
        # Re-entrant: a garbage collection within it may end a notice of a task that was given up.
        self._lock = threading.RLock()
        self._shown: list[_Notice] = []
        self._watchers: list[Callable[[], None]] = []
        reset_after_fork(self)

    @property
    def latest(self) -> str | None:
        """The sentence to show, or None."""
        with self._lock:
            return self._text()

    @contextlib.contextmanager
    def showing(self, text: str, *, topic: str | None = None) -> Iterator[None]:
        """Show a sentence for as long as this lasts.

        Args:
            text: the sentence.
            topic: what it is about, the sentence itself if not given; while one about this is shown, no other
                about it is logged: many that wait for the same thing, each a little longer, say so once.
        """
        notice = _Notice(text, text if topic is None else topic)
        try:
            with self._lock:
                new = all(other.topic != notice.topic for other in self._shown)
                changed = self._text() != text
                self._shown.append(notice)
            if new:
                logger.warning("%s", text)
            if changed:
                self._tell()
            yield
        finally:
            with self._lock:
                before = self._text()
                if notice in self._shown:  # not in a forked child, where nothing is shown
                    self._shown.remove(notice)
                changed = self._text() != before
            if changed:
                self._tell()

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called, on any thread, whenever the sentence changes; returns what ends it."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback) if callback in self._watchers else None

    def after_fork(self) -> None:
        """In a forked child: the lock and what is shown are the parent's."""
        self._lock = threading.RLock()
        self._shown, self._watchers = [], []

    def _text(self) -> str | None:
        return self._shown[-1].text if self._shown else None

    def _tell(self) -> None:
        for callback in list(self._watchers):
            # A face that cannot show it must not spoil the call that waits.
            with contextlib.suppress(Exception):
                callback()


notices = Notices()
