"""The options of the sandbox's command line: one for each switch of its settings."""

from __future__ import annotations

import argparse
from typing import get_args

from ic_notebook.sandbox.fault_options import add_fault_options, count, faults_of
from ic_notebook.sandbox.settings import (
    DEFAULT_ACCOUNT,
    OMITTABLE,
    AppListShape,
    DeleteStatus,
    MetadataForm,
    RegistrationStatus,
    SandboxSettings,
    SecondSignIn,
)

DESCRIPTION = """\
An authorization server and API to develop against, on this computer only. It has the service's paths and a
consent page, but no real data: nothing here costs anything. It prints one line, "ready http://127.0.0.1:PORT",
when it answers; Ctrl-C ends it. Point the client at it with IC_BASE_URL=http://127.0.0.1:PORT.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox's options to a parser, and its description."""
    parser.description = DESCRIPTION
    _add_server_options(parser.add_argument_group("server"))
    _add_sign_in_options(parser.add_argument_group("signing in"))
    _add_token_options(parser.add_argument_group("tokens"))
    _add_api_options(parser.add_argument_group("API"))
    add_fault_options(parser.add_argument_group("faults, for trying how a client takes them"))


def _add_server_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--port", type=count, default=0, metavar="N", help="port on 127.0.0.1 (default: 0, a free one)"
    )
    group.add_argument(
        "--database", metavar="FILE", help="keep everything in this SQLite file (default: in memory)"
    )
    group.add_argument(
        "--account",
        default=DEFAULT_ACCOUNT,
        metavar="NAME",
        help="whose account it is (default: %(default)s)",
    )
    group.add_argument(
        "--without",
        action="append",
        default=[],
        choices=sorted(OMITTABLE),
        metavar="FIELD",
        help="leave a field out of answers: expires_in, refresh_token or scope (tokens); metadata "
        "(registration); id, client_id, name, created_at or scopes (apps); may be repeated",
    )
    group.add_argument(
        "--error-descriptions",
        action="store_true",
        help="token and registration errors carry error_description too",
    )


def _add_sign_in_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--auto-approve", action="store_true", help="skip the consent page and approve at once"
    )
    group.add_argument(
        "--metadata",
        choices=get_args(MetadataForm),
        default="oauth",
        help="where the metadata is: the path of RFC 8414, the one of OpenID Connect, or nowhere "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--no-scopes-supported", action="store_true", help="the metadata does not name the scopes"
    )
    group.add_argument("--no-registration", action="store_true", help="no program can register")
    group.add_argument(
        "--registration-status",
        type=int,
        default=201,
        choices=get_args(RegistrationStatus),
        help="status of a registration (default: %(default)s)",
    )
    group.add_argument(
        "--client-secret", action="store_true", help="registration answers with a client_secret too"
    )
    group.add_argument(
        "--no-https-redirects", action="store_true", help="registration refuses https redirect URIs"
    )
    group.add_argument(
        "--exact-loopback-port",
        action="store_true",
        help="the port of a loopback redirect URI must be the registered one (default: any port)",
    )
    group.add_argument(
        "--iss",
        action="store_true",
        help="authorization responses carry iss (RFC 9207), and the metadata says so",
    )


def _add_token_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--access-token-lifetime",
        type=count,
        default=3600,
        metavar="SECONDS",
        help="life of an access token (default: %(default)s)",
    )
    group.add_argument(
        "--no-rotation", action="store_true", help="a refresh token stays good (default: each is used once)"
    )
    group.add_argument(
        "--refresh-grace",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="so long a used refresh token still gets new tokens (default: 0, not at all)",
    )
    group.add_argument(
        "--revoke-family-on-reuse",
        action="store_true",
        help="a used refresh token ends every token of its sign-in",
    )
    group.add_argument(
        "--second-sign-in",
        choices=get_args(SecondSignIn),
        default="keeps",
        help="what a new sign-in of the same client does to the first: keeps it, ends its access token "
        "(one a client lives), or ends its refresh token too (default: %(default)s)",
    )
    group.add_argument(
        "--revocation", action="store_true", help="tokens can be revoked (RFC 7009), and the metadata says so"
    )
    group.add_argument(
        "--token-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="hold every token answer back so long (default: 0)",
    )


def _add_api_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--rate-limit",
        type=count,
        default=300,
        metavar="PER_MINUTE",
        help="calls a minute per account, 0 for no limit (default: %(default)s)",
    )
    group.add_argument("--no-retry-after", action="store_true", help="a 429 does not say how long to wait")
    group.add_argument(
        "--app-list",
        choices=get_args(AppListShape),
        default="bare",
        help='list of apps as an array, under the key "apps", or in pages (default: %(default)s)',
    )
    group.add_argument(
        "--app-page-size",
        type=count,
        default=10,
        metavar="N",
        help="apps on a page (default: %(default)s)",
    )
    group.add_argument(
        "--delete-status",
        type=int,
        choices=get_args(DeleteStatus),
        default=204,
        help="status of disconnecting an app (default: %(default)s)",
    )


def settings_of(args: argparse.Namespace) -> SandboxSettings:
    """The settings that parsed options stand for; ValueError where they contradict a bound."""
    return SandboxSettings(
        account=args.account,
        database=args.database,
        port=args.port,
        auto_approve=args.auto_approve,
        access_token_lifetime=args.access_token_lifetime,
        rotation=not args.no_rotation,
        refresh_grace=args.refresh_grace,
        revoke_family_on_reuse=args.revoke_family_on_reuse,
        second_sign_in=args.second_sign_in,
        exact_loopback_port=args.exact_loopback_port,
        https_redirect_uris=not args.no_https_redirects,
        registration=not args.no_registration,
        metadata=args.metadata,
        scopes_supported=not args.no_scopes_supported,
        revocation=args.revocation,
        registration_status=args.registration_status,
        client_secret=args.client_secret,
        iss=args.iss,
        app_list=args.app_list,
        app_page_size=args.app_page_size,
        delete_status=args.delete_status,
        without=frozenset(args.without),
        error_descriptions=args.error_descriptions,
        rate_limit=args.rate_limit,
        retry_after=not args.no_retry_after,
        token_delay=args.token_delay,
        faults=faults_of(args),
    )
