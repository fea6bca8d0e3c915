"""Reads the settings from a mapping such as `os.environ` into one immutable object.

This file is long because it contains the list of all settings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from governance.domain import installation
from governance.domain import setting_values as values
from governance.domain.addresses import netloc, reachable, without_brackets
from governance.domain.environment_variables import misspelt
from governance.domain.errors import NotReady

ADMIN_KEY_FILE = "admin.key"
LONGEST_KEY_FILE = 4096
TWO_KEYS = "Unset GOVERNANCE_ADMIN_KEY or GOVERNANCE_ADMIN_KEY_FILE: the admin key comes from one of them."


def _setting(
    name: str,
    default: Any,
    read: Callable[[str], Any],
    meaning: str,
    *,
    show: Callable[[str], str] = values.quoted,
    secret: bool = False,
) -> Any:
    """Declare a field that is read from an environment variable.

    `show` formats a refused value for the error message. It must not show a secret.
    """
    metadata = {"name": name, "read": read, "meaning": meaning, "show": values.unquoted if secret else show}
    return field(default=default, repr=not secret, metadata=metadata)


def _admin_key_in(path: str) -> str:
    """Return the admin key in a file. White space around it is ignored. Raises ValueError."""
    try:
        with installation.absolute(path).open(errors="replace") as file:
            found = file.read(LONGEST_KEY_FILE).strip()
    except OSError as error:
        raise ValueError(f"a file that can be read ({error.strerror})") from error
    try:
        return values.admin_key(found)
    except ValueError as error:
        raise ValueError(f"a file that holds {error}") from error


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Durations are in seconds."""

    database_url: str = _setting(
        "GOVERNANCE_DATABASE_URL",
        "sqlite:///governance.db",
        values.sqlite,
        "the SQLite file; a relative path lies under the instance folder",
        show=values.url,
    )
    instance: str = _setting(
        "GOVERNANCE_INSTANCE", "instance", values.text, "the folder of the database and of `admin.key`"
    )
    admin_key: str | None = _setting(
        "GOVERNANCE_ADMIN_KEY",
        None,
        values.admin_key,
        "an admin API key of at least 32 characters, compared from here and never stored",
        secret=True,
    )
    admin_key_from_file: str | None = _setting(
        "GOVERNANCE_ADMIN_KEY_FILE",
        None,
        _admin_key_in,
        "a file with such a key, instead of `GOVERNANCE_ADMIN_KEY`: a systemd credential, a mounted secret",
        secret=True,
    )
    ui: str = _setting("GOVERNANCE_UI", "on", values.one_of("on", "off"), "`off` removes the dashboard at `/ui`")
    session_secret: str | None = _setting(
        "GOVERNANCE_SESSION_SECRET",
        None,
        values.admin_key,
        "what signs the sessions of the dashboard, at least 32 characters; one kept in the database where it is left "
        "out",
        secret=True,
    )
    config: str | None = _setting(
        "GOVERNANCE_CONFIG",
        None,
        values.text,
        "a file of limits that is applied at each start, before the workers run, and anew at SIGHUP",
    )
    poll_interval: float = _setting(
        "GOVERNANCE_POLL_INTERVAL",
        5.0,
        values.seconds,
        "how often, in seconds, each worker's memory looks at the database",
    )
    busy_timeout: float = _setting(
        "GOVERNANCE_BUSY_TIMEOUT",
        5.0,
        values.seconds,
        "how many seconds a call waits for the database's lock before it is 503",
    )
    header_timeout: float = _setting(
        "GOVERNANCE_HEADER_TIMEOUT",
        10.0,
        values.seconds,
        "in how many seconds the whole head of a request must have come",
    )
    body_timeout: float = _setting(
        "GOVERNANCE_BODY_TIMEOUT", 30.0, values.seconds, "in how many seconds more its whole body must have come"
    )
    send_timeout: float = _setting(
        "GOVERNANCE_SEND_TIMEOUT", 30.0, values.seconds, "in how many seconds a client must have taken its whole answer"
    )
    idle_timeout: float = _setting(
        "GOVERNANCE_IDLE_TIMEOUT",
        75.0,
        values.seconds,
        "after how many seconds without a request a connection is closed",
    )
    expired_reservations: str = _setting(
        "GOVERNANCE_EXPIRED_RESERVATIONS",
        "charge",
        values.one_of("charge", "release"),
        "what becomes of a reservation that nobody settled in time: `charge` its estimate, or `release` it",
    )
    unknown_price: str = _setting(
        "GOVERNANCE_UNKNOWN_PRICE",
        "refuse",
        values.one_of("refuse", "allow"),
        "what becomes of a call under a budget whose tokens have no known price: `refuse` it, or `allow` it with no "
        "dollars held",
    )
    gateway_anonymous: str = _setting(
        "GOVERNANCE_GATEWAY_ANONYMOUS",
        "refuse",
        values.one_of("refuse", "allow"),
        "what becomes of a proxied call without a virtual key: `refuse` it, or `allow` it under the global limits",
    )
    gateway_unknown: str = _setting(
        "GOVERNANCE_GATEWAY_UNKNOWN",
        "refuse",
        values.one_of("refuse", "allow"),
        "what becomes of a proxied request whose path is no known call to a model: `refuse` or `allow` it, unmetered",
    )
    gateway_body_mb: int = _setting(
        "GOVERNANCE_GATEWAY_BODY_MB", 16, values.whole(1, 1024), "the most MiB of a proxied request's body"
    )
    hold_input_tokens: int = _setting(
        "GOVERNANCE_HOLD_INPUT_TOKENS",
        4096,
        values.whole(0, 10**9),
        "how many input tokens a proxied call holds for each image, file or earlier answer that it brings",
    )
    hold_output_tokens: int = _setting(
        "GOVERNANCE_HOLD_OUTPUT_TOKENS",
        4096,
        values.whole(0, 10**9),
        "how many output tokens a proxied call holds that names no maximum",
    )
    retention_days: int = _setting(
        "GOVERNANCE_RETENTION",
        7,
        values.whole(1, 3650),
        "how many days ended reservations and their ledger stay; counters keep their sums",
    )
    synchronous: str = _setting(
        "GOVERNANCE_SYNCHRONOUS",
        "full",
        values.one_of("full", "normal"),
        "`full`: what metering answers survives a power cut; `normal`: only a crash, and faster",
    )
    render_cache_mb: int = _setting(
        "GOVERNANCE_RENDER_CACHE_MB", 64, values.whole(1, 65536), "how many MiB of rendered limits each worker keeps"
    )
    timezone: str = _setting(
        "GOVERNANCE_TIMEZONE",
        "UTC",
        values.timezone,
        "the time zone whose days and months of usage are summed; fixed once a day is summed",
    )
    history_series: int = _setting(
        "GOVERNANCE_HISTORY_SERIES",
        10_000,
        values.whole(1, 1_000_000),
        "how many combinations of provider, model, virtual key and user are kept apart in a day; the rest is `(other)`",
    )
    history_days: int = _setting(
        "GOVERNANCE_HISTORY_DAYS", 400, values.whole(35, 3650), "how many days the sums of usage are kept"
    )
    trusted_proxies: tuple[values.Network, ...] | None = _setting(
        "GOVERNANCE_TRUSTED_PROXIES",
        None,
        values.networks,
        "addresses and networks of the proxies in front, separated by commas: the log then tells whom they forward for",
    )
    log_format: str = _setting("GOVERNANCE_LOG_FORMAT", "text", values.one_of("text", "json"), "`text` or `json`")
    host: str = _setting("HOST", "127.0.0.1", without_brackets, "the address to listen on, of IPv4 or IPv6")
    port: int = _setting("PORT", 8080, values.whole(1, 65535), "the port to listen on")
    workers: int = _setting("WEB_CONCURRENCY", 1, values.whole(1, 1024), "worker processes")
    threads: int = _setting("THREADS", 8, values.whole(1, 1024), "threads of each worker")
    pin_workers: str = _setting(
        "GOVERNANCE_PIN_WORKERS",
        "0",
        values.one_of("0", "1"),
        "`1` keeps each worker on a processor core of its own: faster where the machine is the service's alone",
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, strict: bool = False) -> Self:
        """Read the settings from a mapping.

        An empty value counts as missing. Raises NotReady, whose message lists all invalid values. If `strict` is true,
        unknown variables with the prefix GOVERNANCE_ are errors too.
        """
        given = {item.name: environ.get(item.metadata["name"], "").strip() for item in fields(cls)}
        found, faults = {}, []
        for item in fields(cls):
            try:
                if value := given[item.name] or _default(item.name, environ):
                    found[item.name] = item.metadata["read"](value)
            except ValueError as error:
                faults.append(_fault(item.metadata, given[item.name], error))
        faults += [TWO_KEYS] if given["admin_key"] and given["admin_key_from_file"] else []
        faults += cls.misspelt(environ) if strict else []
        if faults:
            raise NotReady(" ".join(faults))
        return cls(**{"admin_key": found.get("admin_key_from_file"), **found})

    @classmethod
    def misspelt(cls, environ: Mapping[str, str]) -> list[str]:
        """Return a sentence for each variable with the prefix GOVERNANCE_ that is not empty and not a setting."""
        return misspelt(environ, [item.metadata["name"] for item in fields(cls)])

    @classmethod
    def table(cls) -> list[tuple[str, Any, str]]:
        """Return the variable, the default and the meaning of each setting."""
        return [(item.metadata["name"], item.default, item.metadata["meaning"]) for item in fields(cls)]

    @property
    def netloc(self) -> str:
        """`host:port`. An IPv6 address is in brackets."""
        return netloc(self.host, self.port)

    @property
    def url(self) -> str:
        """The service's URL for a client on this machine."""
        return f"http://{netloc(reachable(self.host), self.port)}"

    @property
    def instance_path(self) -> Path:
        """The absolute path of the instance folder."""
        return installation.absolute(self.instance)

    @property
    def database_path(self) -> Path:
        """The absolute path of the database file."""
        return self.instance_path / self.database_url.removeprefix(values.SQLITE)

    @property
    def admin_key_file(self) -> Path:
        """The absolute path of the file that contains the first admin key."""
        return self.instance_path / ADMIN_KEY_FILE

    @property
    def config_path(self) -> Path | None:
        """The absolute path of the config file."""
        return None if self.config is None else installation.absolute(self.config)

    @property
    def memory_lifetime(self) -> float:
        """The number of seconds for which a worker may use its snapshot without a successful poll.

        A snapshot is a copy of the database in memory. Each poll refreshes it.
        """
        return 3 * self.poll_interval


def _default(name: str, environ: Mapping[str, str]) -> str:
    """Return a default that depends on the environment, or an empty text if there is none. Raises ValueError."""
    return installation.state_folder(environ) if name == "instance" and installation.IS_INSTALLED else ""


def _fault(metadata: Mapping[str, Any], value: str, error: ValueError) -> str:
    """Return a sentence that says which value a variable should have."""
    wanted = "a number" if str(error).startswith("could not") else str(error)
    return f"Set {metadata['name']} to {wanted}: {metadata['show'](value)}."
