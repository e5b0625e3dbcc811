"""Every environment variable Keepsite reads, with its type, default and unit.

Each may also be given as ``NAME_FILE``, the path of a file that holds the value.
What has no safe default has none: starting without it names the variable.
"""

import re
from pathlib import Path
from typing import Any, ClassVar

import environ  # type: ignore[import-untyped]  # it has no stubs
from environ.fileaware_mapping import FileAwareMapping  # type: ignore[import-untyped]


class _TrimmedFiles(FileAwareMapping):  # type: ignore[misc]  # django-environ is untyped
    """Values from files lose the line end that editors and `echo` leave behind."""

    def __getitem__(self, name: str) -> str:
        value: str = super().__getitem__(name)
        return value.rstrip("\r\n")


class _Env(environ.FileAwareEnv):  # type: ignore[misc]  # django-environ is untyped
    ENVIRON = _TrimmedFiles()
    BOOLEAN_TRUE_STRINGS: ClassVar[tuple[str, ...]] = ("true", "on", "yes", "1")


SCHEMA: dict[str, tuple[type, Any]] = {
    "KEEPSITE_DEBUG": (bool, False),
    "KEEPSITE_STATE_DIR": (str, "/var/lib/keepsite"),  # audit files, static files, the relay's wake-up pipe
    "KEEPSITE_NODE_NAME": (str, "node"),  # shown in audit records and logs
    "KEEPSITE_LOG_LEVEL": (str, "INFO"),
    # the HTTP side
    "KEEPSITE_BIND": (str, "127.0.0.1:9311"),  # read by deploy/gunicorn.conf.py too
    "KEEPSITE_WORKERS": (int, 2),  # gunicorn processes
    "KEEPSITE_THREADS": (int, 8),  # threads of each gunicorn process
    "KEEPSITE_TLS": (bool, True),  # browsers reach the console by https: secure cookies, HSTS
    "KEEPSITE_ALLOWED_HOSTS": (list, ["127.0.0.1", "localhost", "[::1]"]),  # Host headers answered
    "KEEPSITE_TRUSTED_PROXIES": (list, []),  # peer addresses whose X-Forwarded-* are believed
    "KEEPSITE_PUBLIC_PREFIXES": (list, []),  # X-Forwarded-Prefix that is believed of them: /key-manager
    "KEEPSITE_HOST_HREF": (str, ""),  # fixed base of every ref; empty: from the request
    "KEEPSITE_MAX_REQUEST_BYTES": (int, 25_000),  # a JSON body
    "KEEPSITE_MAX_PAYLOAD_BYTES": (int, 20_000),  # Barbican's default
    "KEEPSITE_PAGE_SIZE": (int, 10),  # items of a list when the client names no limit
    "KEEPSITE_MAX_PAGE_SIZE": (int, 100),  # items of a list at most
    "KEEPSITE_HIDE_PRIVATE_SECRETS": (bool, False),  # in lists, from those who may not read them
    "KEEPSITE_CORS_ORIGINS": (list, []),  # sites whose pages may call the API: https://dashboard.example
    "KEEPSITE_HEALTHCHECK_DISABLE_FILE": (str, ""),  # while it exists, /healthcheck answers 503
    # how much a project may have, unless it has a quota of its own; negative is unlimited
    "KEEPSITE_QUOTA_SECRETS": (int, -1),
    "KEEPSITE_QUOTA_ORDERS": (int, -1),
    "KEEPSITE_QUOTA_CONTAINERS": (int, -1),
    "KEEPSITE_QUOTA_CONSUMERS": (int, -1),
    # repeated requests
    "KEEPSITE_IDEMPOTENCY_H": (float, 24.0),  # hours for which an Idempotency-Key counts; 0: none does
    # who may call
    "KEEPSITE_AUTH": (str, "local"),  # local, keystone, noauth
    "KEEPSITE_KEYSTONE_URL": (str, ""),  # https://keystone.example:5000
    "KEEPSITE_KEYSTONE_USERNAME": (str, ""),  # Keepsite's own account, which validates the callers' tokens
    "KEEPSITE_KEYSTONE_PASSWORD": (str, ""),
    "KEEPSITE_KEYSTONE_PROJECT": (str, ""),
    "KEEPSITE_KEYSTONE_USER_DOMAIN": (str, "Default"),
    "KEEPSITE_KEYSTONE_PROJECT_DOMAIN": (str, "Default"),
    "KEEPSITE_KEYSTONE_INTERFACE": (str, "internal"),  # which of Keystone's endpoints in its catalog
    "KEEPSITE_KEYSTONE_CA_FILE": (str, ""),  # empty: the system's
    "KEEPSITE_KEYSTONE_MEMCACHED": (list, []),  # host:port of each; none: every process caches by itself
    "KEEPSITE_KEYSTONE_CACHE_S": (int, 120),  # a revoked token is accepted at most this long
    # deleted projects, as Keystone announces them: `manage.py keystone_listener`
    "KEEPSITE_KEYSTONE_EVENTS_URL": (
        str,
        "",
    ),  # amqp://user:password@host:5672/vhost of Keystone's notifications
    "KEEPSITE_KEYSTONE_EVENTS_EXCHANGE": (str, "keystone"),  # its control_exchange
    "KEEPSITE_KEYSTONE_EVENTS_TOPIC": (str, "notifications"),
    "KEEPSITE_KEYSTONE_EVENTS_MAX_PER_HOUR": (int, 20),  # projects; more raise an alarm
    "KEEPSITE_SERVICE_TOKEN_ROLES": (list, ["service"]),  # any of these makes a service token
    "KEEPSITE_ROLE_SET": (str, "secure"),  # secure (reader, member, admin), legacy (creator, ...), both
    "KEEPSITE_POLICY_FILE": (str, ""),  # oslo.policy overrides
    # the operators' console
    "KEEPSITE_CONSOLE_SECOND_FACTOR": (list, []),  # "everyone", or the roles that must have one
    "KEEPSITE_CONSOLE_IDLE_MIN": (int, 30),  # minutes without a click that end a session
    "KEEPSITE_CONSOLE_SESSION_H": (float, 12.0),  # hours that end it in any case
    "KEEPSITE_CONSOLE_LOCKOUT_AFTER": (int, 5),  # wrong passwords or codes in a row
    "KEEPSITE_CONSOLE_LOCKOUT_S": (int, 60),  # the first lock; each further one lasts twice as long
    "KEEPSITE_CONSOLE_LOCKOUT_MAX_S": (int, 900),  # the longest
    "KEEPSITE_LANGUAGES": (list, []),  # that the console may be in besides English: de,pt-br
    "KEEPSITE_LOCALE_DIR": (str, ""),  # folder with a site's own translations: de/LC_MESSAGES/django.mo
    "KEEPSITE_TWO_PERSON_ACTS": (list, []),  # acts that another operator must approve: secret.purge
    "KEEPSITE_APPROVAL_H": (float, 24.0),  # hours in which they may
    # what operators are told without looking
    "KEEPSITE_NOTICE_EXPIRY_DAYS": (int, 14),  # secrets and API keys that expire within so many days
    "KEEPSITE_NOTICE_QUOTA_PERCENT": (int, 90),  # projects that have so much of what they may
    "KEEPSITE_NOTICE_REPEAT_H": (float, 24.0),  # hours until an open notice is told of again; 0: never
    "KEEPSITE_NOTICE_EMAIL_TO": (list, []),  # addresses; none: no e-mail
    "KEEPSITE_NOTICE_EMAIL_FROM": (str, "keepsite@localhost"),
    "KEEPSITE_EMAIL_URL": (str, "smtp://127.0.0.1:25"),  # smtp+tls://user:password@host:587
    "KEEPSITE_NOTICE_WEBHOOK_URL": (str, ""),  # empty: no webhook
    "KEEPSITE_NOTICE_WEBHOOK_SECRET": (str, ""),  # signs what is sent
    "KEEPSITE_NOTICE_WEBHOOK_PLAIN": (bool, False),  # the webhook's URL may be http
    # who may watch
    "KEEPSITE_METRICS_ALLOWED": (list, ["127.0.0.1", "::1"]),  # addresses or networks that may read /metrics
    "KEEPSITE_METRICS_COUNT_EVERY_S": (
        float,
        30.0,
    ),  # metrics that the database knows are counted anew at most this often; 0: never
    # how much one project or user may ask for
    "KEEPSITE_LIMITS_FILE": (str, ""),  # YAML, docs/operators/limits.md; empty: no rate limits
    "KEEPSITE_LIMITS_MEMCACHED": (list, []),  # host:port of every memcached; empty: each process counts alone
    "KEEPSITE_LIMITS_PROCESSES": (int, 0),  # API processes of all nodes together; 0: KEEPSITE_WORKERS
    # the audit trail
    "KEEPSITE_AUDIT_COPIES": (str, "acts"),  # which records the database has copies of: all, acts, operators
    "KEEPSITE_AUDIT_RETENTION_DAYS": (int, 0),  # older copies are removed; at least 30, 0: none ever is
    "KEEPSITE_AUDIT_SEAL_S": (float, 15.0),  # the HSM seals what was collected this often
    "KEEPSITE_AUDIT_IF_UNWRITABLE": (str, "refuse"),  # refuse: 503 to every call; answer: the log is told
    # what stands behind
    "KEEPSITE_HSM_CONFIG": (str, ""),  # path of the TOML file that names the tokens
    "KEEPSITE_HSM_POOL_SIZE": (int, 8),  # PKCS#11 sessions per process and member
    "KEEPSITE_HSM_WAIT_S": (float, 2.0),  # longest wait for a free session
    "KEEPSITE_HSM_CACHE_MAX_KEYS": (int, 2_000),  # pKEK handles per process and member
    "KEEPSITE_HSM_PROCESSES": (
        int,
        0,
    ),  # of all nodes that use the tokens; 0: KEEPSITE_WORKERS and one worker
    "KEEPSITE_BROKER_URL": (str, "filesystem:///var/lib/keepsite/broker"),
    "KEEPSITE_CACHE_URL": (str, "locmemcache://"),
    # orders
    "KEEPSITE_ORDER_LEASE_S": (int, 60),  # a worker's claim on an order for a key pair
    "KEEPSITE_ORDER_KEY_LEASE_S": (int, 15),  # and for a symmetric key, which takes milliseconds
    "KEEPSITE_ORDER_HANDOUT_S": (int, 15),  # after this long an unclaimed order is handed out again
    "KEEPSITE_ORDER_MAX_ATTEMPTS": (int, 20),
    "KEEPSITE_ORDER_WAIT_S": (float, 0.5),  # a GET of a fresh order waits for its end at most this long
    "KEEPSITE_RELAY_POLL_S": (float, 2.0),
    # this node, and how nodes change colour
    "KEEPSITE_NODE_ROLE": (str, "api"),  # api, worker
    "KEEPSITE_NODE_BIND": (str, "127.0.0.1:10101"),  # where the node agent tells balancers this node's colour
    "KEEPSITE_NODE_ADDRESS": (str, ""),  # base URL of this node's API for other nodes; empty: KEEPSITE_BIND
    "KEEPSITE_NODE_HEARTBEAT_S": (float, 2.0),
    "KEEPSITE_NODE_PLIGHT_CONFIG": (str, ""),  # path of a plight configuration to answer by; else ours
    "KEEPSITE_PROMOTE_MIN_GREEN": (int, 2),  # green nodes that a promotion leaves in service at every moment
    "KEEPSITE_PROMOTE_SETTLE_S": (float, 10.0),  # how long a node that turned green is watched
    "KEEPSITE_PROMOTE_DRAIN_S": (float, 180.0),  # how long a draining node may take to finish its requests
    # replacing keys
    "KEEPSITE_KEK_GRACE_S": (
        int,
        3_600,
    ),  # a replaced key may still be used by what began before: not retired
    "KEEPSITE_MKEK_MAX_DAYS": (
        int,
        730,
    ),  # an older current MKEK is due to be replaced; 0: age does not matter
    "KEEPSITE_PKEK_MAX_DAYS": (int, 365),  # an older pKEK is due to be replaced; 0: age does not matter
    "KEEPSITE_PKEK_MAX_ENCRYPTIONS": (
        int,
        100_000_000,
    ),  # stored rows sealed under a pKEK; with more it is due. 0: does not matter
    "KEEPSITE_PKEK_ROTATE_WHEN_DUE": (bool, False),  # workers replace what is due; else it is told only
    # deleted objects
    "KEEPSITE_RECOVERY_DAYS": (int, 30),  # days in which an operator can bring one back; then it is purged
    "KEEPSITE_PURGE_EVERY_H": (
        float,
        24.0,
    ),  # workers purge what is due this often; 0: only `purge_deleted` does
}
REQUIRED = ("KEEPSITE_SECRET_KEY", "KEEPSITE_DATABASE_URL")

env = _Env(**SCHEMA)


def unknown_variables() -> list[str]:
    """Names that start with KEEPSITE_ and that nothing reads: most often a slip of the pen."""
    known = {*SCHEMA, *REQUIRED}
    return sorted(
        name
        for name in env.ENVIRON.env
        if name.startswith("KEEPSITE_") and name not in known and name.removesuffix("_FILE") not in known
    )


def database(name: str) -> dict[str, Any]:
    """Django's settings of the database that the URL in variable ``name`` describes.

    Whatever an engine needs so that an acknowledged write is on disk, and a lost
    server is noticed within seconds, is added here and not left to the operator.
    """
    config: dict[str, Any] = env.db_url(name)
    if config["ENGINE"].endswith("sqlite3"):
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",  # writers queue at BEGIN instead of failing at COMMIT
            "timeout": 10,  # s, in that queue
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
        }
        config["CONN_MAX_AGE"] = None
    elif config["ENGINE"].endswith("mysql"):
        config["ENGINE"] = "keepsite.mysql"
        config["OPTIONS"] = {
            "charset": "utf8mb4",
            "isolation_level": "read committed",
            "connect_timeout": 3,  # s
            "read_timeout": 10,  # s, above the longest stall of a cluster that loses a member
            "write_timeout": 10,  # s
            "init_command": (
                "SET SESSION wsrep_sync_wait=1, innodb_lock_wait_timeout=5, "
                "sql_mode='STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
            ),
            **config.get("OPTIONS", {}),
        }
        config["CONN_MAX_AGE"] = 60  # s; after a member returns, connections spread again within a minute
        config["CONN_HEALTH_CHECKS"] = True
        config.setdefault("TEST", {})["CHARSET"] = "utf8mb4"
    return config


def email(name: str) -> dict[str, Any]:
    """Django's EMAIL settings for the URL in variable ``name``; every one of ours has a value."""
    found: dict[str, Any] = env.email_url(name)
    return (
        {"EMAIL_USE_TLS": False, "EMAIL_USE_SSL": False} | found | {"EMAIL_PORT": found["EMAIL_PORT"] or 25}
    )


def broker(name: str) -> tuple[str, dict[str, Any]]:
    """Celery's broker URL and transport options for the URL in variable ``name``.

    ``filesystem:///folder`` keeps messages as files of that folder: the embedded
    default.  Anything else is a broker; RabbitMQ must confirm what it was given.
    """
    url: str = env(name)
    if match := re.fullmatch(r"filesystem://(/.+)", url):
        folder = Path(match.group(1))
        return "filesystem://", {
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.05,  # s; a castellan client asks for its order at once
        }
    return url, {"confirm_publish": True}


def broker_folders(options: dict[str, Any]) -> list[Path]:
    """Folders that the filesystem transport needs; none for a real broker."""
    return [Path(options[name]) for name in ("data_folder_in", "control_folder") if name in options]
