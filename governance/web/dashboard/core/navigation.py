"""The pages in the navigation of the dashboard, in the order in which they are shown."""

from typing import NamedTuple

from governance.domain.keys import KeyScope


class NavigationEntry(NamedTuple):
    """A page in the navigation, its title, and the scope that the viewer's API key needs.

    While one of the pages in `others` is shown, the navigation marks this entry.
    """

    page: str
    title: str
    scope: KeyScope = KeyScope.READ
    others: tuple[str, ...] = ()


OF_LIMITS = ("limit", "new-limit", "change-limit", "delete-limit", "what-if", "upload")
OF_KEYS = ("virtual-key", "new-virtual-key", "change-virtual-key", "delete-virtual-key")
OF_USERS = ("new-user", "change-user", "delete-user")
OF_PRICES = ("new-price", "change-price", "delete-price")
OF_API_KEYS = ("new-api-key", "revoke-api-key")

NAVIGATION = (
    NavigationEntry("", "Overview"),
    NavigationEntry("limits", "Limits", others=OF_LIMITS),
    NavigationEntry("virtual-keys", "Virtual keys", others=OF_KEYS),
    NavigationEntry("users", "Users", others=OF_USERS),
    NavigationEntry("prices", "Prices", others=OF_PRICES),
    NavigationEntry("reservations", "Reservations"),
    NavigationEntry("audit", "Audit"),
    NavigationEntry("api-keys", "API keys", KeyScope.ADMIN, OF_API_KEYS),
    NavigationEntry("health", "Health"),
)
