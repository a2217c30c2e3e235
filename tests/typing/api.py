"""Read by type checkers alone: what a user of the public names may rely on."""

from __future__ import annotations

import httpx

import ic_notebook as ic


def functions() -> None:
    session: ic.Session = ic.connect(base_url="https://api.example.com", timeout=5.0, open_url=print)
    client: httpx.Client = ic.client(timeout=3.0)
    async_client: httpx.AsyncClient = session.async_client()
    apps: ic.ConnectedApps = ic.apps()
    app: ic.ConnectedApp = apps[0]
    name: str | None = app.name
    token: str = session.access_token()
    left: float = session.credits()
    confirmed: bool = ic.disconnect().confirmed
    connected: bool = ic.status().connected
    print(client, async_client, name, token, left, confirmed, connected, session.auth)


class Vault:
    """A team's own storage."""

    def load(self) -> ic.TokenSet | None:
        return ic.TokenSet.from_json("{}")

    def save(self, tokens: ic.TokenSet) -> None:
        text: str = tokens.to_json()
        print(len(text))

    def delete(self) -> None: ...


def storages() -> None:
    vault: ic.TokenStorage = Vault()
    ic.connect(storage=vault, profile="agency-a", client_id="abc", new_client=False)
    ic.connect(storage="keyring")
    session: ic.Session = ic.session(profile="agency-a")
    profile: str = session.status.profile
    print(
        profile,
        ic.client(profile="agency-a", timeout=3.0),
        ic.status(profile=profile),
        ic.apps(profile=profile),
    )
    ic.disconnect(profile=profile)
    ic.forget(profile=profile)


async def coroutines() -> ic.Session:
    return await ic.connect_async(open_url=lambda url: None)


def errors() -> None:
    try:
        ic.session()
    except ic.SignInRequired as error:
        lookup: LookupError = error
        print(lookup)
    except ic.SignInTimeout as error:
        timeout: TimeoutError = error
        print(timeout)
    except ic.APIError as error:
        status: int = error.status_code
        print(status)
