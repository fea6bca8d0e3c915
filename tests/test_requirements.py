"""requirements.txt and the locks that `make lock` makes from it agree. The service needs no development package."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.test_layers import imported, modules

ROOT = Path(__file__).resolve().parents[1]
OWNERS = {"flask", "flask-sqlalchemy", "marshmallow", "cachetools", "gunicorn", "pytest"}
OURS = {"app", "governance", "schemas"}


def pins(text: str) -> dict[str, str]:
    """Return the version of each package that a file pins."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))


def read(name: str) -> dict[str, str]:
    return pins((ROOT / name).read_text())


RUNTIME, DEVELOPMENT = map(pins, (ROOT / "requirements.txt").read_text().split("\n# Development\n"))
SERVICE, ALL = read("requirements.lock"), read("requirements-dev.lock")


def test_the_packages_of_the_owner_are_named():
    assert set(RUNTIME) | set(DEVELOPMENT) >= OWNERS


def test_the_lock_of_the_service_holds_no_development_package():
    assert set(DEVELOPMENT) & set(SERVICE) == set()


def test_the_wheel_needs_what_the_service_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert pins("\n".join(project["dependencies"])) == RUNTIME


def test_the_locks_agree_with_the_requirements_and_each_other():
    assert RUNTIME.items() <= SERVICE.items() <= ALL.items()
    assert DEVELOPMENT.items() <= ALL.items()


@pytest.mark.parametrize("folder", ["gateways", "litellm"])
def test_the_lock_of_tests_apart_has_what_they_require(folder):
    required, locked = ((ROOT / "tests" / folder / f"requirements.{end}").read_text() for end in ("txt", "lock"))
    wanted = re.findall(r"^[\w.-]+(?:\[\w,]+)?==\S+", required, re.MULTILINE)
    assert wanted
    assert set(wanted) <= set(re.findall(r"^[^\s#]+==\S+", locked, re.MULTILINE))


def test_the_service_imports_only_packages_of_its_lock():
    found = packages_distributions()
    names = {name.partition(".")[0] for module, file in modules() for name in imported(file.read_text(), module)}
    packages = {package for name in names - sys.stdlib_module_names - OURS for package in found[name]}
    assert {package.lower().replace("_", "-") for package in packages} <= set(SERVICE)
