"""Every switch of the sandbox, with the defaults that the service is believed to have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from ic_notebook.sandbox.faults import Faults, one_of

AppListShape = Literal["bare", "keyed", "paginated"]
DeleteStatus = Literal[200, 202, 204]
MetadataForm = Literal["oauth", "openid", "none"]
RegistrationStatus = Literal[200, 201]
SecondSignIn = Literal["keeps", "ends-access", "ends-all"]

SCOPE = "all"
"""The one scope the service knows."""

DEFAULT_ACCOUNT = "Sandbox account"

OMITTABLE = frozenset(
    {"expires_in", "refresh_token", "scope", "metadata", "id", "client_id", "name", "created_at", "scopes"}
)
"""What ``SandboxSettings.without`` can leave out.

``expires_in``, ``refresh_token`` and ``scope`` of a token answer; ``metadata``, the echo of a registration;
``id``, ``client_id``, ``name``, ``created_at`` and ``scopes`` of an app in the list.
"""


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """How the sandbox behaves. Durations are seconds.

    Attributes:
        account: The account that the consent page acts for.
        database: A SQLite file that outlives the process; ``None``: memory.
        port: The port on 127.0.0.1; 0 picks a free one.
        auto_approve: Skip the consent page and approve at once.
        access_token_lifetime: Life of an access token.
        code_lifetime: Life of an authorization code.
        consent_lifetime: How long a consent page can be answered.
        rotation: A refresh answers with a new refresh token and the old one is used up.
        refresh_grace: For so long a used refresh token still gets tokens, and nothing ends.
        revoke_family_on_reuse: A used refresh token ends every token of its sign-in (RFC 9700 §4.14.2).
        second_sign_in: What a new sign-in of the same client does to the first: ``keeps`` it,
            ``ends-access`` (one access token a client lives, refreshed ones included) or ``ends-all``
            (the first one's refresh token too).
        exact_loopback_port: The port of a loopback redirect URI must be the registered one.
        https_redirect_uris: Registration takes https redirect URIs.
        registration: Clients may register (RFC 7591); else that endpoint is unknown and not announced.
        metadata: Where the metadata is: the path of RFC 8414 (``oauth``), the one of OpenID Connect Discovery
            (``openid``), or nowhere (``none``).
        scopes_supported: The metadata names the scopes.
        revocation: Tokens can be revoked by RFC 7009, and the metadata says so.
        registration_status: Status of a successful registration.
        client_secret: Registration answers with a ``client_secret`` as well.
        iss: Authorization responses carry ``iss`` (RFC 9207) and the metadata says so.
        app_list: The list of apps as a bare array, under the key ``apps``, or in pages.
        app_page_size: Apps on a page of the paginated list.
        delete_status: Status of a successful disconnect.
        without: Fields that answers leave out, of ``OMITTABLE``.
        error_descriptions: Token and registration errors carry an ``error_description``.
        rate_limit: Authenticated calls a minute per account; 0: no limit.
        retry_after: A 429 carries ``Retry-After``.
        token_delay: The token endpoint holds its finished answer back so long.
        faults: Requests that fail; of several kinds, the first that strikes.
    """

    account: str = DEFAULT_ACCOUNT
    database: str | None = None
    port: int = 0
    auto_approve: bool = False
    access_token_lifetime: int = 3600
    code_lifetime: int = 60
    consent_lifetime: int = 600
    rotation: bool = True
    refresh_grace: float = 0.0
    revoke_family_on_reuse: bool = False
    second_sign_in: SecondSignIn = "keeps"
    exact_loopback_port: bool = False
    https_redirect_uris: bool = True
    registration: bool = True
    metadata: MetadataForm = "oauth"
    scopes_supported: bool = True
    revocation: bool = False
    registration_status: RegistrationStatus = 201
    client_secret: bool = False
    iss: bool = False
    app_list: AppListShape = "bare"
    app_page_size: int = 10
    delete_status: DeleteStatus = 204
    without: frozenset[str] = frozenset()
    error_descriptions: bool = False
    rate_limit: int = 300
    retry_after: bool = True
    token_delay: float = 0.0
    faults: Faults | tuple[Faults, ...] = field(default_factory=Faults)

    def __post_init__(self) -> None:
        one_of("second_sign_in", self.second_sign_in, get_args(SecondSignIn))
        one_of("metadata", self.metadata, get_args(MetadataForm))
        one_of("registration_status", self.registration_status, get_args(RegistrationStatus))
        one_of("app_list", self.app_list, get_args(AppListShape))
        one_of("delete_status", self.delete_status, get_args(DeleteStatus))
        for name in sorted(self.without):
            one_of("without", name, sorted(OMITTABLE))
        for name in ("access_token_lifetime", "code_lifetime", "consent_lifetime", "app_page_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1.")
        for name in ("port", "refresh_grace", "rate_limit", "token_delay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is not negative.")
        if not self.account:
            raise ValueError("account is not empty.")
