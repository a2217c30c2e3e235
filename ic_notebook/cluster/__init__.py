"""One sign-in for a whole Dask cluster: tasks on every worker call `ic_notebook.client()`.

    from distributed import Client
    client = Client(…)
    ic_notebook.cluster.share(client)

Needs the extra `ic-notebook[dask]`, here and where the workers run. A scheduler can do without this package
where each task imports it itself: Dask's schedulers unpickle what a task refers to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ic_notebook.errors import ConfigurationError
from ic_notebook.sessions.current import current

if TYPE_CHECKING:
    from distributed import Client

    from ic_notebook.cluster.sharing import Shared

RATE_LIMIT = 300
"""Calls a minute that the service grants an account."""


def share(client: Client, *, profile: str | None = None, rate_limit: int | None = RATE_LIMIT) -> Shared:
    """Let every worker of a Dask cluster use this process's sign-in, those that come later too.

    The workers get the access token when they need it and hold it in memory. The refresh token stays here,
    and one refresh serves all. The sharing ends with `close()`, with `disconnect()` or `forget()`, and with
    this process; a second call takes the place of the first for this sign-in. A sign-in of another profile
    can be shared beside it: `ic_notebook.client(profile=…)` in a task picks one. Where a scheduler has been
    started anew, share again.

    Args:
        client: a `distributed.Client`; where it is asynchronous, await what is returned.
        profile: the sign-in of this profile; where None, the one that is meant here.
        rate_limit: calls a minute that all workers and this process may make together through the clients of
            this session (`Session.client()` and `async_client()`; `Session.auth` alone neither waits nor
            counts). Who comes too early waits. None for no limit.

    Returns:
        The sharing, which can be closed, also by `with`.

    Raises:
        ConfigurationError: no Dask is installed, a worker lacks this package or has another version of it,
            somebody else shares a sign-in on this cluster, or something given cannot be used.
        SignInRequired: nobody is signed in.
        ServiceUnavailable: the scheduler cannot be reached.
    """
    if rate_limit is not None and (not isinstance(rate_limit, int) or rate_limit < 1):
        raise ConfigurationError("rate_limit is a whole number of calls a minute, or None for no limit.")
    try:
        import distributed
    except ImportError:
        raise ConfigurationError(
            'Sharing a sign-in with a cluster needs Dask. Install it: pip install "ic-notebook[dask]"'
        ) from None
    if not isinstance(client, distributed.Client):
        raise ConfigurationError("share() takes a distributed.Client.")
    from ic_notebook.cluster.sharing import begin

    return begin(client, current.meant(profile=profile), rate_limit=rate_limit)
