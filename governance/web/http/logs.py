"""The format of log lines: one line for each entry, plain or JSON."""

import json
import logging
from logging import Formatter, LogRecord
from typing import Any

from governance.domain.names import visible
from governance.domain.times import rfc3339


def configure(style: str) -> None:
    """Send this service's log to standard error, in the format `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLine() if style == "json" else TextLine())
    logger = logging.getLogger("governance")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def gunicorn_config(style: str) -> dict[str, Any]:
    """Return gunicorn's setting `logconfig_dict`.

    For `json`, gunicorn then logs JSON lines. Otherwise the setting is empty, and gunicorn uses its own format.
    """
    if style != "json":
        return {}
    quiet = {"level": "WARNING", "handlers": ["error_console"], "propagate": False}
    return {
        "root": {"level": "WARNING", "handlers": []},
        "formatters": {"generic": {"()": f"{JsonLine.__module__}.{JsonLine.__qualname__}"}},
        "loggers": {"gunicorn.error": quiet, "gunicorn.access": quiet},
    }


class TextLine(Formatter):
    """Formats an entry like `2026-11-23T12:00:00Z INFO governance.requests refused method=GET path=/x status=404`."""

    def format(self, record: LogRecord) -> str:
        """Return one line. If there is a traceback, it follows on the next lines."""
        fields = "".join(f" {name}={_word(value)}" for name, value in _fields(record).items())
        message = visible(record.getMessage())
        return f"{_time(record)} {record.levelname} {record.name} {message}{fields}{self._trace(record)}"

    def _trace(self, record: LogRecord) -> str:
        lines = self.formatException(record.exc_info).split("\n") if record.exc_info else ()
        return "".join(f"\n{visible(line)}" for line in lines)


class JsonLine(Formatter):
    """Formats each entry as one JSON object on one line."""

    def format(self, record: LogRecord) -> str:
        """Return one line of JSON."""
        line = {"time": _time(record), "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return visible(json.dumps(line | _fields(record), ensure_ascii=False, default=str))


def _fields(record: LogRecord) -> dict[str, Any]:
    return dict(getattr(record, "fields", {}))


def _time(record: LogRecord) -> str:
    return rfc3339(int(record.created * 1000) * 1000)


def _word(value: Any) -> str:
    """Return a value as text. It is quoted if it could break the line or look like another field."""
    text = str(value)
    return text if text.isascii() and text.isprintable() and " " not in text and text else json.dumps(text)
