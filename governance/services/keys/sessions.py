"""The stored data of the dashboard's sessions: the secret that signs them, and the ids of forms that were sent."""

from governance.domain.times import HOUR, Clock
from governance.services.random_ids import RandomIds
from governance.storage.keys import sessions
from governance.storage.store import Database

SESSION_HOURS = 12
"""A session ends this many hours after the sign-in."""


class Sessions:
    """Stores the secret and the ids of forms. `given` is the secret in the settings, or None if it is not set there."""

    def __init__(self, database: Database, clock: Clock, random_ids: RandomIds, given: str | None) -> None:
        self._database = database
        self._clock = clock
        self._random_ids = random_ids
        self._secret = given

    def secret(self) -> str:
        """Return the secret that signs sessions. If the database has none yet, create it. Raises Unavailable."""
        if self._secret is None:
            self._secret = self._stored() or self._made()
        return self._secret

    def now(self) -> int:
        """Return the time in whole seconds since 1970."""
        return self._clock() // 1_000_000

    def take(self, form_id: str) -> bool:
        """Record that a form was sent. Return False if it was sent before. Raises Unavailable."""
        now = self._clock()
        with self._database.write() as connection:
            sessions.forget_forms(connection, now - SESSION_HOURS * HOUR)
            return sessions.note_form(connection, form_id, now)

    def _stored(self) -> str | None:
        with self._database.read() as connection:
            return sessions.secret(connection)

    def _made(self) -> str:
        with self._database.write() as connection:
            found = sessions.secret(connection)  # another worker may have created it in the meantime
            if found is None:
                found = self._random_ids.new_secret()
                sessions.add_secret(connection, found)
            return found
