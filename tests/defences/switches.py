"""Every switch, in the order of `SECURITY.md`."""

from __future__ import annotations

from tests.defences.leaks import LEAK_SWITCHES
from tests.defences.network import NETWORK_SWITCHES
from tests.defences.pages import PAGE_SWITCHES
from tests.defences.servers import SERVER_SWITCHES
from tests.defences.strings import STRING_SWITCHES
from tests.defences.switch import Switch
from tests.defences.users import USER_SWITCHES

SWITCHES: tuple[Switch, ...] = (
    *PAGE_SWITCHES,
    *USER_SWITCHES,
    *SERVER_SWITCHES,
    *STRING_SWITCHES,
    *LEAK_SWITCHES,
    *NETWORK_SWITCHES,
)
