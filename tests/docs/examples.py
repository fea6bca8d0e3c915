"""Examples as the pages have them, and the comparison of a command's output with the page.

There are three kinds of examples. The first is a fenced block in which each command begins with `$ ` and its output
follows. The second is a block of `sh`, which is one command. The `json` block right after it is the response. The third
is a block of `python`, which is a program.
"""

import json
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.docs.pages import Block

UUID = r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
SECRET = r"\b(?:sk-)?gov-[\w-]+"
MASKS = {
    UUID: "ID",
    r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z": "INSTANT",
    SECRET: "SECRET",
    r'"\d+\.[0-9a-f]{16,}"|"[0-9a-f]{16,}"': "TAG",
    r"\b[0-9a-f]{64}\b": "DIGEST",
    r"\b[\d.,]+ (bytes|[KMG]iB)\b": "SIZE",
    r"(?<![\w.])/[^\s,:]+": "PATH",
    r"\bschema +\d{4}\b": "schema NUMBER",
    r"\bsqlite +version [\d.]+": "sqlite version NUMBER",
    r" +": " ",
}
"""The parts of an output that differ from run to run."""
LEFT_OUT = "…"
PYTHON = shlex.quote(sys.executable)


class Step(NamedTuple):
    """A command, the first lines of its output, and its exit code."""

    command: str
    shown: list[str]
    exit_code: int = 0


def steps(blocks: Sequence[Block]) -> list[Step]:
    """Return the commands of the blocks, in order."""
    found: list[Step] = []
    for number, block in enumerate(blocks):
        if block.text.startswith("$ "):
            found += _session(block.text)
        elif block.language == "python":
            found.append(Step(f"{PYTHON} -c {shlex.quote(block.text)}", []))
        elif block.language == "sh":
            follows = blocks[number + 1] if number + 1 < len(blocks) else None
            answer = follows.text.splitlines() if follows and follows.language == "json" else []
            found.append(Step(block.text.rstrip(), answer))
    return found


def _session(text: str) -> list[Step]:
    found: list[Step] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.rstrip().splitlines()
        end = next(count for count in range(1, len(lines) + 1) if _is_whole("\n".join(lines[:count])))
        command, shown = "\n".join(lines[:end]), lines[end:]
        if command == "echo $?":
            found[-1] = found[-1]._replace(exit_code=int(shown[0]))
        else:
            found.append(Step(command, shown))
    return found


def _is_whole(command: str) -> bool:
    """Return whether a command is complete, so that a shell would not wait for another line."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def masked(line: str) -> str:
    """Return a line without the parts that differ from run to run."""
    for pattern, name in MASKS.items():
        line = re.sub(pattern, name, line)
    return line.strip()


def same_text(shown: str, printed: str) -> bool:
    """Return whether a text is the one on a page. On the page, `…` stands for any text."""
    pattern = ".*".join(re.escape(part.strip()) for part in masked(shown).split(LEFT_OUT))
    return re.fullmatch(pattern, masked(printed), re.DOTALL) is not None


def shown_json(text: str) -> Any:
    """Return a response of a page as JSON. A last `…` in it means that more follows."""
    marked = re.sub(r"…(?=\s*\})", '"…": null', text)
    return json.loads(re.sub(r"…(?=\s*\])", '"…"', marked))


def differences(shown: Any, answered: Any, path: str = "") -> list[str]:
    """Return where a response differs from the one on a page."""
    if isinstance(shown, dict) and isinstance(answered, dict):
        missing = set() if LEFT_OUT in shown else answered.keys() - shown.keys()
        found = [f"{path}.{key} is not shown" for key in sorted(missing)]
        for key in shown.keys() - {LEFT_OUT}:
            found += differences(shown[key], answered.get(key, "<nothing>"), f"{path}.{key}")
        return found
    if isinstance(shown, list) and isinstance(answered, list):
        open_ended = shown[-1:] == [LEFT_OUT]
        items = shown[:-1] if open_ended else shown
        found = [] if open_ended or len(items) == len(answered) else [f"{path} has {len(answered)} items"]
        for number, (item, other) in enumerate(zip(items, answered, strict=False)):
            found += differences(item, other, f"{path}[{number}]")
        return found
    same = same_text(shown, answered) if isinstance(shown, str) and isinstance(answered, str) else shown == answered
    return [] if same else [f"{path}: {shown!r} is shown, {answered!r} was answered"]


def names(shown: Sequence[str], printed: Sequence[str]) -> dict[str, str]:
    """Return the ids and secrets of this run, by the ids and secrets on the page."""
    pattern = re.compile(f"{UUID}|{SECRET}")
    return dict(zip(pattern.findall("\n".join(shown)), pattern.findall("\n".join(printed)), strict=False))


def json_names(shown: Any, answered: Any) -> dict[str, str]:
    """Return the same for two JSON responses, field by field."""
    if isinstance(shown, dict) and isinstance(answered, dict):
        pairs = [(shown[key], answered[key]) for key in shown.keys() & answered.keys()]
    elif isinstance(shown, list) and isinstance(answered, list):
        pairs = list(zip(shown, answered, strict=False))
    else:
        return names([shown], [answered]) if isinstance(shown, str) and isinstance(answered, str) else {}
    found: dict[str, str] = {}
    for pair in pairs:
        found |= json_names(*pair)
    return found
