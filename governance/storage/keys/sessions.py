"""Reads and writes the data of the dashboard's sessions: the secret that signs them, and the forms that were sent."""

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from governance.storage.tables import sent_forms, session_secret


def secret(connection: Connection) -> str | None:
    """Return the stored secret that signs the sessions, or None."""
    return connection.execute(select(session_secret.c.secret)).scalar_one_or_none()


def add_secret(connection: Connection, made: str) -> None:
    """Store the secret."""
    connection.execute(insert(session_secret).values(id=1, secret=made))


def note_form(connection: Connection, form_id: str, now: int) -> bool:
    """Record that a form was sent. Return False if it was recorded before."""
    if connection.execute(select(sent_forms.c.form_id).filter_by(form_id=form_id)).first() is not None:
        return False
    connection.execute(insert(sent_forms).values(form_id=form_id, sent_at=now))
    return True


def forget_forms(connection: Connection, before: int) -> None:
    """Delete the records of forms that were sent before an instant."""
    connection.execute(delete(sent_forms).where(sent_forms.c.sent_at < before))
