"""The pages of the navigation, in its order. Alerts, overrides and subjects will stand here too."""

from typing import NamedTuple

from governance.domain.keys import KeyScope


class NavigationEntry(NamedTuple):
    """A page in the navigation, the scope that it needs, and the other pages that belong to it."""

    page: str
    title: str
    scope: KeyScope = KeyScope.READ
    others: tuple[str, ...] = ()


OF_LIMITS = ("limit", "new-limit", "change-limit", "delete-limit", "what-if", "upload")

NAVIGATION = (
    NavigationEntry("", "Overview"),
    NavigationEntry("limits", "Limits", others=OF_LIMITS),
    NavigationEntry("health", "Health"),
)
