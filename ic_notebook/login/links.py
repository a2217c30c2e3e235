"""Links: what an attempt's authorization request is made of: by which route, and as which client."""

from __future__ import annotations

from dataclasses import dataclass

from ic_notebook.errors import ICNotebookError
from ic_notebook.login.options import LoginOptions
from ic_notebook.oauth.metadata import ServerMetadata
from ic_notebook.oauth.registration import ClientInformation
from ic_notebook.redirect.routes import ORDER, Findings, Route, loopback
from ic_notebook.registrar import Registrar, refuses_redirect_uri

NOT_BACK_TO = "The service refuses to send a browser back to {host}, so this takes one paste."


@dataclass(frozen=True)
class Link:
    """One link: by which route its answer comes, who asks, and who looks after that client."""

    route: Route
    registrar: Registrar
    client: ClientInformation


class Links:
    """Makes the links of one attempt at one server."""

    def __init__(self, options: LoginOptions, server: ServerMetadata) -> None:
        self._options = options
        self._server = server
        self._refused: set[str] = set()

    def best(self, findings: Findings | None, port: int | None) -> Route:
        """The best route that a page has proven and the server takes; else loopback, for who pastes."""
        ports = self._options.ports
        found = findings.best(ports, port, but=self._refused) if findings is not None else None
        return found or loopback(ports)

    async def make(self, findings: Findings | None, port: int | None) -> Link:
        """A link by the best route; by the next, where the server refuses to redirect to that one.

        Raises:
            ICNotebookError: as `Registrar.client`.
        """
        route = self.best(findings, port)
        registrar = self._registrar(route)
        try:
            return Link(route, registrar, await registrar.client())
        except ICNotebookError as refusal:
            if not route.proven or route.elsewhere or not refuses_redirect_uri(refusal):
                raise
        self._refused.add(route.name)
        link = await self.make(findings, port)
        if not link.route.proven:
            link.registrar.notice = link.registrar.notice or NOT_BACK_TO.format(host=route.host)
        return link

    async def anew(self, link: Link) -> Link:
        """The same with a client that is registered anew.

        Raises:
            ICNotebookError: as `Registrar.replace`.
        """
        return Link(link.route, link.registrar, await link.registrar.replace(link.client))

    def _registrar(self, route: Route) -> Registrar:
        options = self._options
        return Registrar(
            self._server,
            scope=options.scope if options.scope is not None else self._server.scope,
            client_id=options.client_id,
            new_client=options.new_client,
            route=route,
            store=options.clients,
            transport=options.transport,
            clock=options.clock,
        )


def rank(route: Route) -> int:
    """How good a route is: the lower, the better."""
    return ORDER.index(route.name) if route.proven else len(ORDER)
