"""The secrets that are this person's own: of the stored sign-ins, and of the environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ic_notebook import environment
from ic_notebook.background import background
from ic_notebook.errors import ICNotebookError
from ic_notebook.oauth.secret import Secret
from ic_notebook.scan.encodings import Form, forms_of
from ic_notebook.scan.finding import Hit
from ic_notebook.storage.choice import looked_in
from ic_notebook.storage.sharing import SharedStore, state_folder

SHORTEST = 8
"""Characters; what is shorter stands in many a file by chance."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """One secret to look for.

    Attributes:
        text: the secret.
        kind: what it is, in words.
        profile: of which stored sign-in; None for the environment's.
    """

    text: Secret = field(repr=False)
    kind: str
    profile: str | None = None
    forms: Sequence[Form] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "forms", forms_of(self.text))

    def hits(self, text: bytes) -> list[Hit]:
        """Where it stands in a file, in any encoding."""
        return [
            Hit(
                start=start,
                end=end,
                kind=f"{self.kind}, in base64" if form.is_base64 else self.kind,
                replacement=form.replacement(text[start:end]),
                profile=self.profile,
                own=True,
            )
            for form in self.forms
            for start, end in form.spans(text)
        ]


def known_secrets(base_url: str, profiles: Sequence[str]) -> tuple[list[Known], list[str]]:
    """The secrets to look for, and what a person should know of those that could not be had.

    A keyring is called only where a sign-in has been kept there, and for 20 s at most.

    Args:
        base_url: the API whose sign-ins are meant.
        profiles: whose.
    """
    secrets, notes = _stored(base_url, profiles)
    try:
        token = environment.access_token()
    except ICNotebookError as failure:
        token = None
        notes.append(str(failure))
    if token is not None:
        secrets.append(Known(text=Secret(token), kind="the token in IC_ACCESS_TOKEN"))
    looked_for = [secret for secret in secrets if len(secret.text) >= SHORTEST]
    notes += [
        f"{secret.kind[0].upper()}{secret.kind[1:]} is too short to look for."
        for secret in secrets
        if len(secret.text) < SHORTEST
    ]
    return looked_for, notes


def _stored(base_url: str, profiles: Sequence[str]) -> tuple[list[Known], list[str]]:
    secrets: list[Known] = []
    stores = [store for profile in profiles if (store := looked_in(None, base_url, profile)) is not None]
    for store in stores:
        try:
            secrets += _tokens_of(store)
        except ICNotebookError as failure:  # noqa: PERF203 - the first ends it
            # One keyring holds them all: what it does not give now, it does not give for the next either.
            return secrets, [f"{failure} The scan goes on without the stored sign-in."]
    try:
        kept = len(list(state_folder().glob("*.changed")))
    except OSError:
        kept = 0
    if kept > len(stores) and environment.storage() != "memory":
        return secrets, ["Sign-ins under other names may be kept here: --profile NAME looks for theirs too."]
    return secrets, []


def _tokens_of(store: SharedStore) -> list[Known]:
    tokens = background().run(store.load)
    if tokens is None:
        return []
    of = f"of the stored sign-in (profile {store.profile})"
    found = [Known(text=tokens.access_token, kind=f"the access token {of}", profile=store.profile)]
    if tokens.refresh_token:
        found.append(Known(text=tokens.refresh_token, kind=f"the refresh token {of}", profile=store.profile))
    return found
