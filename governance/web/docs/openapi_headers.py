"""The headers of requests and responses, as the OpenAPI document describes them."""

from typing import Any

TEXT = {"type": "string"}
SECONDS = {"type": "integer", "minimum": 0}
RELATIVE = "References relative to the URL that was asked, such as `?limit=25&offset=25`: join them to it."
HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "X-Request-Id": (TEXT, "The caller's X-Request-Id where it sent a sane one, else one of ours."),
    "ETag": (TEXT, 'Strong. A model limit\'s is "<version>.<digest>"; the version moves with edits only.'),
    "Link": (TEXT, f'The pages beside this one, rel="next" and rel="prev"; left out where there is none. {RELATIVE}'),
    "Age": (SECONDS, "Memory answers only: seconds since the memory was last known to equal the database."),
    "X-Governance-Source": ({**TEXT, "enum": ["memory", "database"]}, "Where the answer came from."),
    "Retry-After": (SECONDS, "Seconds after which to try again."),
    "Idempotent-Replayed": ({**TEXT, "const": "true"}, "There where this is the first answer again."),
    "WWW-Authenticate": ({**TEXT, "const": "Bearer"}, "The scheme to use."),
}
ERROR_HEADERS = {401: ["WWW-Authenticate"], 402: ["Retry-After"], 429: ["Retry-After"], 503: ["Retry-After"]}
REQUEST_HEADERS = {
    "If-None-Match": "An ETag that the caller has: 304 where it is still true.",
    "If-Match": "Act only where the limit's version is still that of this ETag; 412 where it is not. * is any. "
    "Of an apply of a file: the ETag of its plan.",
    "Idempotency-Key": "1 to 255 visible ASCII characters: a repeat within a day gets the first answer again.",
}
