"""The product's settings with an environment made for tests.

What a test run must not share (state folder, token, database) is new for every run;
processes that tests start inherit it through the environment.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "KEEPSITE_STATE_DIR" not in os.environ:
    os.environ["KEEPSITE_STATE_DIR"] = tempfile.mkdtemp(prefix="keepsite-tests-")
    atexit.register(shutil.rmtree, os.environ["KEEPSITE_STATE_DIR"], ignore_errors=True)
_state = Path(os.environ["KEEPSITE_STATE_DIR"])
for _name, _value in {
    "KEEPSITE_SECRET_KEY": "for tests only, and long enough that Django does not warn about it: 0123456789",
    "KEEPSITE_DATABASE_URL": f"sqlite:///{_state}/tests.sqlite3",
    "KEEPSITE_BROKER_URL": f"filesystem://{_state}/broker",
    "KEEPSITE_HSM_CONFIG": f"{_state}/hsm.toml",
    "KEEPSITE_TLS": "off",
    "KEEPSITE_NODE_NAME": "tests",
    "SOFTHSM2_CONF": f"{_state}/softhsm2.conf",
}.items():
    os.environ.setdefault(_name, _value)

(_state / "static").mkdir(parents=True, exist_ok=True)

from keepsite.settings import *  # noqa: E402, F403

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    DATABASES["default"]["TEST"] = {"NAME": str(_state / "in-process.sqlite3")}  # noqa: F405  # a file: threads share it
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick; nothing here is worth guessing
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}  # noqa: F405
ORDER_WAIT_S = 0.0  # there is no worker in this process that a GET could wait for
METRICS_COUNT_EVERY_S = 0.0  # no thread looks into the database while a test is at work in it
