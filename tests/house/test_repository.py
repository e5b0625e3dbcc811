"""Rules about the files of the repository."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from keepsite import errors
from keepsite.api.exceptions import STATUSES

CHECKOUT = Path(__file__).resolve().parents[2]
OPTIONS = re.compile(
    r"--(?:extra-)?index-url|--find-links|--trusted-host|^\s*(?:extra-)?index-url\s*=", re.MULTILINE
)


def files():
    """Every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [CHECKOUT / name for name in listed.split("\0") if name and (CHECKOUT / name).is_file()]


def texts():
    for file in files():
        try:
            yield file.relative_to(CHECKOUT), file.read_text()
        except UnicodeDecodeError:
            continue


def configured_indexes():
    """Hosts and folders that pip on this machine was told to take packages from."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    values = re.findall(r"(?:index-url|find-links)='([^']*)'", told)
    values += [
        value
        for name, value in os.environ.items()
        if re.fullmatch(r"PIP_(EXTRA_)?INDEX_URL|PIP_FIND_LINKS", name)
    ]
    for value in " ".join(values).replace("\\n", " ").split():
        parts = urlsplit(value)
        name = parts.hostname or parts.path.rstrip("/")
        if name:
            yield name


class TestPackageIndexes:
    """Where packages come from is each machine's own matter."""

    def test_no_file_names_an_index_that_this_machine_uses(self):
        names = {*configured_indexes()}

        found = [(str(file), name) for file, text in texts() for name in names if name in text]

        assert found == []

    @pytest.mark.parametrize("file", ["constraints.txt", "constraints-dev.txt"])
    def test_constraints_hold_names_versions_and_hashes_only(self, file):
        lines = (CHECKOUT / file).read_text().splitlines()

        strange = [
            line
            for line in lines
            if not re.fullmatch(
                r"(\s+--hash=sha256:[0-9a-f]{64}( \\)?|[\w.\[\],-]+==[\w.+!-]+.*\\|\s*#.*|)", line
            )
        ]
        assert strange == []

    def test_no_file_tells_pip_where_to_look(self):
        found = [
            str(file) for file, text in texts() if OPTIONS.search(text) and file.name != Path(__file__).name
        ]

        assert found == []

    def test_no_address_holds_a_password(self):
        url = re.compile(r"https?://[^\s/@'\"<>{}]+:[^\s/@'\"<>{}]+@")

        assert [str(file) for file, text in texts() if url.search(text)] == []


class TestMigrations:
    def test_none_is_missing(self, db, capsys):
        try:
            call_command("makemigrations", check=True, dry_run=True)
        except SystemExit:
            pytest.fail(f"run makemigrations: {capsys.readouterr().out}")


class TestErrors:
    def test_every_family_of_errors_has_its_own_status(self):
        families = [kind for kind in vars(errors).values() if isinstance(kind, type)]

        undecided = [
            kind.__name__
            for kind in families
            if kind.__base__ is errors.KeepsiteError and kind not in STATUSES
        ]
        assert undecided == ["KeyMaterialError"]  # a 500 like its base


class TestTests:
    def test_none_sleeps(self):
        """Waiting for a condition is what helpers are for; they may."""
        sleeping = [
            str(file)
            for file, text in texts()
            if file.name.startswith("test_") and re.search(r"\bsleep\(\d", text)
        ]
        assert sleeping == []
