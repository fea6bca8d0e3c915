"""The dashboard's page to upload a config file: shows the plan of the file, and applies the file.

A plan lists what a file would change. The file is applied only if its plan is still the one that the user has seen.
"""

import zlib
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Mapping

from flask import render_template
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from governance.container import governance
from governance.domain.errors import Code, Conflict, FaultyFile, GovernanceError, InvalidRequest
from governance.domain.installation import PROGRAM
from governance.domain.keys import KeyScope
from governance.services.config.uploads import PlanReview, SyncOptions, Upload, Uploads
from governance.web.dashboard.core import addresses
from governance.web.dashboard.core.blueprint import acts, shows
from governance.web.http.context import the_request

MOST_FILE = 1024 * 1024
"""The largest number of bytes of a file that is uploaded through the dashboard."""
MOST_KEPT = 90_000
"""The largest number of characters of a compressed file in the page that shows its plan.

The page contains the file in a hidden field, so that the next request sends the file again.
"""
MOST_STEPS = 100
"""The largest number of changes of a plan that the page shows."""
LARGE = f"Apply this file with {PROGRAM} sync FILE, or over the API: it is too large for the dashboard."
EMPTY = "Choose a file of limits, or paste its text."


@shows("upload", KeyScope.WRITE)
def upload_form() -> ResponseReturnValue:
    """Show the form for a file."""
    return _page(SyncOptions(None, prune=False, overwrite=False), "")


@acts("upload")
def upload(fields: MultiDict[str, str]) -> ResponseReturnValue:
    """Show the plan of a file. If the form contains the tag (ETag) of this plan, apply the file."""
    options = _options(fields)
    try:
        raw = _received(fields)
        if "tag" not in fields:
            return _page(options, _kept(raw), review=_service().plan(_upload(raw), options))
        _service().apply(_upload(raw), options, fields["tag"].__eq__)
    except Conflict as error:
        if error.code != Code.STALE_VERSION:
            return _page(options, "", error=error)
        return _page(options, _kept(raw), review=_service().plan(_upload(raw), options), error=error)
    except (FaultyFile, InvalidRequest) as error:
        return _page(options, "", error=error)
    return addresses.go("limits", done="applied")


def _service() -> Uploads:
    return governance().uploads


def _options(fields: Mapping[str, str]) -> SyncOptions:
    owner = fields.get("owner", "").strip() or None
    return SyncOptions(owner, prune=fields.get("prune") == "true", overwrite=fields.get("overwrite") == "true")


def _received(fields: Mapping[str, str]) -> bytes:
    """Return the bytes of the file. Raises InvalidRequest if there is no file, or if it is too large.

    The user has chosen the file or pasted its text, or the page with its plan contained the file.
    """
    chosen = the_request().files.get("file")
    raw = chosen.read(MOST_FILE + 1) if chosen else b""
    raw = raw or fields.get("text", "").encode()
    if not raw and fields.get("kept"):
        raw = _unpacked(fields["kept"])
    if not raw.strip():
        raise InvalidRequest(EMPTY, param="file")
    if len(raw) > MOST_FILE:
        raise InvalidRequest(LARGE, param="file")
    return raw


def _kept(raw: bytes) -> str:
    """Compress and encode a file for the page with its plan. Raises InvalidRequest if the result is too long."""
    kept = b64encode(zlib.compress(raw, 9), b"-_").decode()
    if len(kept) > MOST_KEPT:
        raise InvalidRequest(LARGE, param="file")
    return kept


def _unpacked(kept: str) -> bytes:
    """Return the file that `_kept` has compressed and encoded. Return no bytes if the text is malformed."""
    try:
        return zlib.decompressobj().decompress(urlsafe_b64decode(kept), MOST_FILE + 1)
    except (ValueError, zlib.error):
        return b""


def _upload(raw: bytes) -> Upload:
    return Upload(len(raw), lambda _: raw)


def _page(
    options: SyncOptions, kept: str, *, review: PlanReview | None = None, error: GovernanceError | None = None
) -> ResponseReturnValue:
    changes = review.plan.changes if review else ()
    page = render_template(
        "dashboard/upload.html",
        options=options,
        kept=kept,
        review=review,
        changes=changes[:MOST_STEPS],
        more=max(0, len(changes) - MOST_STEPS),
        faults=error.faults if isinstance(error, FaultyFile) else (),
        sentence=None if error is None or isinstance(error, FaultyFile) else error.message,
    )
    return page, 200 if error is None else 409 if isinstance(error, Conflict) else 400
