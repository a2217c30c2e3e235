"""In the notebook's process: answers the workers' questions out of the session's own token source."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from ic_notebook.cluster.budget import Budget
from ic_notebook.cluster.link import Answer, failure_fields
from ic_notebook.cluster.words import ENDED, SHARE_AGAIN
from ic_notebook.errors import ICNotebookError, ServiceUnavailable, SignInRequired
from ic_notebook.notices import notices
from ic_notebook.oauth.answers import duration
from ic_notebook.oauth.token_set import LEEWAY, TokenSet
from ic_notebook.sessions.patience import TELL_AFTER
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from ic_notebook.sessions.stored_tokens import StoredTokens
from ic_notebook.sessions.token_source import REST

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

here: set[str] = set()
"""The names of what this process shares: workers within it need no way to it."""
_SPARE = 4
"""A worker takes ahead a quarter at most of the turns that are left."""


class Broker:
    """Answers for one session; everything but `session_moved` runs on the client's event loop.

    Args:
        name: the topic of the questions.
        client: through which they come.
        session: whose access token the workers get; its refresh token stays here.
        budget: the turns that they share, or None.
    """

    def __init__(self, name: str, client: Client, session: Session, budget: Budget | None) -> None:
        self.budget = budget
        self.given = 0
        self._name = name
        self._client = client
        self._session = session
        self._source = session._source  # noqa: SLF001 - the session's own renewals are what is shared
        self._tasks: set[asyncio.Task[None]] = set()
        self._number, self._latest = 0, ""
        self._wait_ends = 0.0
        self._open = False

    def open(self) -> None:
        """Begin to answer."""
        self._loop = asyncio.get_running_loop()
        self._open = True
        here.add(self._name)
        self._client.subscribe_topic(self._name, self._on_question)
        self._stop_watching = self._session.watch(self.session_moved)

    def close(self) -> None:
        """Answer no more."""
        self._open = False
        here.discard(self._name)
        self._stop_watching()
        for task in self._tasks:
            task.cancel()

    def session_moved(self) -> None:
        """The session has ended: the workers are told at once; called on any thread."""
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._start, "tell", {"event": {"ended": self._why_ended}})

    @property
    def _why_ended(self) -> str:
        problem = self._session.status.problem
        return ENDED if problem is None else f"{problem} {SHARE_AGAIN}"

    def _on_question(self, event: Any) -> None:
        """A handler of Dask's, which must not wait: the client hears nothing else meanwhile."""
        if self._open and isinstance(event, (list, tuple)) and isinstance(event[1], dict):
            self._run(self._reply(event[0], event[1]))

    def _start(self, action: str, message: Answer) -> None:
        self._run(self._send(action, message))

    def _run(self, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, number: int, question: Answer) -> None:
        from distributed.protocol.serialize import to_serialize

        try:
            answer = await (
                self._token(question) if question.get("ask") == "token" else self._turns(question)
            )
        except ICNotebookError as failure:
            answer = {"failure": failure_fields(failure)}
        except Exception as failure:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            logger.error("A worker's question came to nothing: %s", type(failure).__name__)  # noqa: TRY400
            answer = {"failure": failure_fields(ServiceUnavailable("The notebook could not answer."))}
        # Packed, so that neither the scheduler nor its log sees what is in it.
        await self._send("answer", {"number": number, "answer": to_serialize(json.dumps(answer).encode())})

    async def _send(self, action: str, message: Answer) -> None:
        try:
            await getattr(self._client.scheduler, f"{self._name}-{action}")(**message)
        except Exception as failure:  # noqa: BLE001 - nobody here waits for it; who asked has a time limit
            logger.debug("The scheduler is out of reach: %s", type(failure).__name__)

    async def _token(self, question: Answer) -> Answer:
        tokens, refreshed, rests = await self._latest_tokens(int(question.get("refused", 0)))
        age = self._source.age(tokens) if isinstance(self._source, StoredTokens) else 0.0
        lifetime = None if tokens.lifetime is None else max(0.0, tokens.lifetime - age)
        due_in = None
        if lifetime is not None and tokens.lifetime is not None:
            due_in = REST if rests else max(0.0, lifetime - min(LEEWAY, tokens.lifetime / 10))
        self.given += 1
        given = {
            "number": self._numbered(tokens),
            "access_token": str(tokens.access_token),
            "lifetime": lifetime,
            "due_in": due_in,
            "scope": tokens.scope,
            "client_id": tokens.client_id,
            "client_name": tokens.client_name,
            "issuer": tokens.issuer,
            "signed_in_at": tokens.signed_in_at,
        }
        return {"token": given, "refreshed": refreshed}

    async def _latest_tokens(self, refused: int) -> tuple[TokenSet, bool, bool]:
        """What is good now; whether it is fresh from the server, and whether a renewal has just failed."""
        if self._session.state is not SessionState.CONNECTED:
            raise SignInRequired(self._why_ended)
        tokens = self._source.current()
        if refused == self._numbered(tokens):
            return *await asyncio.wrap_future(self._source.replace(tokens)), False
        if not self._source.due(tokens):
            return tokens, False, False
        try:
            return *await asyncio.wrap_future(self._source.renew(tokens)), False
        except ICNotebookError as failure:
            if isinstance(failure, SignInRequired) or self._source.expired(tokens):
                raise
            return tokens, False, True

    def _numbered(self, tokens: TokenSet) -> int:
        """A number for each access token, by which a worker says which one was refused."""
        if tokens.access_token != self._latest:
            self._number, self._latest = self._number + 1, tokens.access_token
        return self._number

    async def _turns(self, question: Answer) -> Answer:
        budget = self.budget
        calls, within = int(question["calls"]), float(question["within"])
        if budget is None:
            return {"delays": [0.0] * calls, "pause": 0.0}
        delays = budget.take(calls, within=within)
        delays += budget.take(min(int(question["ahead"]), budget.left // _SPARE), within=0.0)
        if delays and delays[-1] > TELL_AFTER:
            self._tell_of_waiting(delays[-1])
        return {"delays": delays, "pause": budget.pause}

    def _tell_of_waiting(self, seconds: float) -> None:
        told = self._wait_ends > time.monotonic()
        self._wait_ends = max(self._wait_ends, time.monotonic() + seconds)
        if not told:
            self._run(self._show_waiting())

    async def _show_waiting(self) -> None:
        assert self.budget is not None
        why = f"The cluster waits for the account's limit of {self.budget.limit} calls a minute."
        while (left := self._wait_ends - time.monotonic()) > 0:
            with notices.showing(f"{why} Going on in {duration(left)}.", topic=why):
                await asyncio.sleep(left)
