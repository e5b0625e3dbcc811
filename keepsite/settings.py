"""Assignments only; deployments differ by environment alone (``keepsite/env.py``)."""

from pathlib import Path

from kombu import Exchange, Queue

from keepsite.env import broker, database, email, env

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = Path(env("KEEPSITE_STATE_DIR"))
NODE_NAME = env("KEEPSITE_NODE_NAME")

# Django
SECRET_KEY = env("KEEPSITE_SECRET_KEY")
DEBUG = env("KEEPSITE_DEBUG")
BIND = env("KEEPSITE_BIND")
ALLOWED_HOSTS = env("KEEPSITE_ALLOWED_HOSTS")
ROOT_URLCONF = "keepsite.urls"
WSGI_APPLICATION = "keepsite.wsgi.application"
APPEND_SLASH = False  # a redirect would lose the body of a POST
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"  # of all but the console's pages, whose readers may have another
LANGUAGES = [("en", "en"), *((code, code) for code in env("KEEPSITE_LANGUAGES"))]
LOCALE_PATHS = [env("KEEPSITE_LOCALE_DIR")] if env("KEEPSITE_LOCALE_DIR") else []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000  # bytes; the API bounds its own bodies far below
INSTALLED_APPS = [
    "keepsite.console.apps.ConsoleConfig",
    "keepsite.console.apps.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "csp",
    "hsm.apps.HSMAppConfig",
    "keepsite.apps.KeepsiteConfig",
    "keepsite.audit.apps.AuditConfig",
    "keepsite.schedule.apps.ScheduleConfig",
    "keepsite.operators.apps.OperatorsConfig",
    "keepsite.approvals.apps.ApprovalsConfig",
    "keepsite.projects.apps.ProjectsConfig",
    "keepsite.identity.apps.IdentityConfig",
    "keepsite.keyring.apps.KeyringConfig",
    "keepsite.trail.apps.TrailConfig",
    "keepsite.fleet.apps.FleetConfig",
    "keepsite.nodes.apps.NodesConfig",
    "keepsite.idempotency.apps.IdempotencyConfig",
    "keepsite.api.apps.ApiConfig",
    "secrets_app.apps.SecretsAppConfig",
    "orders_app.apps.OrdersAppConfig",
    "keepsite.notices.apps.NoticesConfig",
]
MIDDLEWARE = [
    "keepsite.api.request_id.RequestIdMiddleware",
    "keepsite.metrics.requests.RequestMetricsMiddleware",
    "keepsite.api.cors.CorsMiddleware",
    "keepsite.api.middleware.ApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",  # tells the length of every answer
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "keepsite.console.middleware.ReaderMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database and cache
DATABASES = {"default": database("KEEPSITE_DATABASE_URL")}
CACHES = {"default": env.cache_url("KEEPSITE_CACHE_URL")}

# The console
TLS = env("KEEPSITE_TLS")
SESSION_COOKIE_NAME = "keepsite_session"
SESSION_COOKIE_SECURE = TLS
CONSOLE_SECOND_FACTOR = env("KEEPSITE_CONSOLE_SECOND_FACTOR")
CONSOLE_IDLE_S = env("KEEPSITE_CONSOLE_IDLE_MIN") * 60
CONSOLE_SESSION_S = int(env("KEEPSITE_CONSOLE_SESSION_H") * 3600)
CONSOLE_LOCKOUT_AFTER = env("KEEPSITE_CONSOLE_LOCKOUT_AFTER")
CONSOLE_LOCKOUT_S = env("KEEPSITE_CONSOLE_LOCKOUT_S")
CONSOLE_LOCKOUT_MAX_S = env("KEEPSITE_CONSOLE_LOCKOUT_MAX_S")
TWO_PERSON_ACTS = env("KEEPSITE_TWO_PERSON_ACTS")
APPROVAL_H = env("KEEPSITE_APPROVAL_H")
SESSION_COOKIE_AGE = CONSOLE_SESSION_S
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_SECURE = TLS
CSRF_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = TLS * 31_536_000
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'"],
        "object-src": ["'none'"],
    },
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# The API
HOST_HREF = env("KEEPSITE_HOST_HREF")
TRUSTED_PROXIES = env("KEEPSITE_TRUSTED_PROXIES")
PUBLIC_PREFIXES = env("KEEPSITE_PUBLIC_PREFIXES")
MAX_REQUEST_BYTES = env("KEEPSITE_MAX_REQUEST_BYTES")
MAX_PAYLOAD_BYTES = env("KEEPSITE_MAX_PAYLOAD_BYTES")
PAGE_SIZE = env("KEEPSITE_PAGE_SIZE")
MAX_PAGE_SIZE = env("KEEPSITE_MAX_PAGE_SIZE")
HIDE_PRIVATE_SECRETS = env("KEEPSITE_HIDE_PRIVATE_SECRETS")
CORS_ORIGINS = env("KEEPSITE_CORS_ORIGINS")
HEALTHCHECK_DISABLE_FILE = env("KEEPSITE_HEALTHCHECK_DISABLE_FILE")
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["keepsite.api.authentication.PrincipalAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],  # oslo.policy decides, in the services
    "DEFAULT_PARSER_CLASSES": [],  # keepsite.api.bodies reads them
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "keepsite.api.negotiation.ContractNegotiation",
    "EXCEPTION_HANDLER": "keepsite.api.exceptions.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "STRICT_JSON": True,
}

# How much a project may have
QUOTAS = {
    "secrets": env("KEEPSITE_QUOTA_SECRETS"),
    "orders": env("KEEPSITE_QUOTA_ORDERS"),
    "containers": env("KEEPSITE_QUOTA_CONTAINERS"),
    "consumers": env("KEEPSITE_QUOTA_CONSUMERS"),
    "cas": -1,
}

# Repeated requests
IDEMPOTENCY_H = env("KEEPSITE_IDEMPOTENCY_H")

# Who may call
AUTH = env("KEEPSITE_AUTH")
KEYSTONE_URL = env("KEEPSITE_KEYSTONE_URL")
KEYSTONE_USERNAME = env("KEEPSITE_KEYSTONE_USERNAME")
KEYSTONE_PASSWORD = env("KEEPSITE_KEYSTONE_PASSWORD")
KEYSTONE_PROJECT = env("KEEPSITE_KEYSTONE_PROJECT")
KEYSTONE_USER_DOMAIN = env("KEEPSITE_KEYSTONE_USER_DOMAIN")
KEYSTONE_PROJECT_DOMAIN = env("KEEPSITE_KEYSTONE_PROJECT_DOMAIN")
KEYSTONE_INTERFACE = env("KEEPSITE_KEYSTONE_INTERFACE")
KEYSTONE_CA_FILE = env("KEEPSITE_KEYSTONE_CA_FILE")
KEYSTONE_MEMCACHED = env("KEEPSITE_KEYSTONE_MEMCACHED")
KEYSTONE_CACHE_S = env("KEEPSITE_KEYSTONE_CACHE_S")
KEYSTONE_EVENTS_URL = env("KEEPSITE_KEYSTONE_EVENTS_URL")
KEYSTONE_EVENTS_EXCHANGE = env("KEEPSITE_KEYSTONE_EVENTS_EXCHANGE")
KEYSTONE_EVENTS_TOPIC = env("KEEPSITE_KEYSTONE_EVENTS_TOPIC")
KEYSTONE_EVENTS_MAX_PER_HOUR = env("KEEPSITE_KEYSTONE_EVENTS_MAX_PER_HOUR")
SERVICE_TOKEN_ROLES = env("KEEPSITE_SERVICE_TOKEN_ROLES")
ROLE_SET = env("KEEPSITE_ROLE_SET")
POLICY_FILE = env("KEEPSITE_POLICY_FILE")

# What operators are told without looking
NOTICE_EXPIRY_DAYS = env("KEEPSITE_NOTICE_EXPIRY_DAYS")
NOTICE_QUOTA_PERCENT = env("KEEPSITE_NOTICE_QUOTA_PERCENT")
NOTICE_REPEAT_H = env("KEEPSITE_NOTICE_REPEAT_H")
NOTICE_EMAIL_TO = env("KEEPSITE_NOTICE_EMAIL_TO")
NOTICE_EMAIL_FROM = env("KEEPSITE_NOTICE_EMAIL_FROM")
NOTICE_WEBHOOK_URL = env("KEEPSITE_NOTICE_WEBHOOK_URL")
NOTICE_WEBHOOK_SECRET = env("KEEPSITE_NOTICE_WEBHOOK_SECRET")
NOTICE_WEBHOOK_PLAIN = env("KEEPSITE_NOTICE_WEBHOOK_PLAIN")
_EMAIL = email("KEEPSITE_EMAIL_URL")
EMAIL_BACKEND = _EMAIL["EMAIL_BACKEND"]
EMAIL_HOST = _EMAIL["EMAIL_HOST"]
EMAIL_PORT = _EMAIL["EMAIL_PORT"]
EMAIL_HOST_USER = _EMAIL["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = _EMAIL["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = _EMAIL["EMAIL_USE_TLS"]
EMAIL_USE_SSL = _EMAIL["EMAIL_USE_SSL"]
EMAIL_TIMEOUT = 10  # s

# Who may watch
METRICS_ALLOWED = env("KEEPSITE_METRICS_ALLOWED")
METRICS_COUNT_EVERY_S = env("KEEPSITE_METRICS_COUNT_EVERY_S")

# How much one project or user may ask for
LIMITS_FILE = env("KEEPSITE_LIMITS_FILE")
LIMITS_MEMCACHED = env("KEEPSITE_LIMITS_MEMCACHED")
LIMITS_PROCESSES = env("KEEPSITE_LIMITS_PROCESSES") or env("KEEPSITE_WORKERS")

# This node and its colour
NODE_ROLE = env("KEEPSITE_NODE_ROLE")
NODE_BIND = env("KEEPSITE_NODE_BIND")
NODE_ADDRESS = env("KEEPSITE_NODE_ADDRESS") or f"http://{BIND}"
NODE_HEARTBEAT_S = env("KEEPSITE_NODE_HEARTBEAT_S")
NODE_PLIGHT_CONFIG = env("KEEPSITE_NODE_PLIGHT_CONFIG")
NODE_STATE_FILE = STATE_DIR / "node-state"
NODE_IN_FLIGHT = STATE_DIR / "in-flight"
NODE_WORKERS = STATE_DIR / "workers"
PROMOTE_MIN_GREEN = env("KEEPSITE_PROMOTE_MIN_GREEN")
PROMOTE_SETTLE_S = env("KEEPSITE_PROMOTE_SETTLE_S")
PROMOTE_DRAIN_S = env("KEEPSITE_PROMOTE_DRAIN_S")

# Deleted objects
RECOVERY_DAYS = env("KEEPSITE_RECOVERY_DAYS")
PURGE_EVERY_H = env("KEEPSITE_PURGE_EVERY_H")

# The token
HSM_CONFIG = env("KEEPSITE_HSM_CONFIG")
HSM_POOL_SIZE = env("KEEPSITE_HSM_POOL_SIZE")
HSM_WAIT_S = env("KEEPSITE_HSM_WAIT_S")
HSM_CACHE_MAX_KEYS = env("KEEPSITE_HSM_CACHE_MAX_KEYS")
HSM_PROCESSES = env("KEEPSITE_HSM_PROCESSES") or env("KEEPSITE_WORKERS") + 1

# Replacing keys
KEK_GRACE_S = env("KEEPSITE_KEK_GRACE_S")
MKEK_MAX_DAYS = env("KEEPSITE_MKEK_MAX_DAYS")
PKEK_MAX_DAYS = env("KEEPSITE_PKEK_MAX_DAYS")
PKEK_MAX_ENCRYPTIONS = env("KEEPSITE_PKEK_MAX_ENCRYPTIONS")
PKEK_ROTATE_WHEN_DUE = env("KEEPSITE_PKEK_ROTATE_WHEN_DUE")

# Orders and Celery
ORDER_LEASE_S = env("KEEPSITE_ORDER_LEASE_S")
ORDER_HANDOUT_S = env("KEEPSITE_ORDER_HANDOUT_S")
ORDER_KEY_LEASE_S = env("KEEPSITE_ORDER_KEY_LEASE_S")
ORDER_MAX_ATTEMPTS = env("KEEPSITE_ORDER_MAX_ATTEMPTS")
ORDER_WAIT_S = env("KEEPSITE_ORDER_WAIT_S")
ORDER_WAITERS = max(1, env("KEEPSITE_THREADS") // 4)  # threads of a process that may wait for an order
RELAY_POLL_S = env("KEEPSITE_RELAY_POLL_S")
RELAY_PIPE = STATE_DIR / "order-relay.pipe"
CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = broker("KEEPSITE_BROKER_URL")
CELERY_BROKER_HEARTBEAT = 10  # s
CELERY_BROKER_CONNECTION_TIMEOUT = 3  # s
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "keepsite.orders"
CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
CELERY_TASK_DEFAULT_EXCHANGE_TYPE = "topic"
CELERY_TASK_CREATE_MISSING_QUEUE_TYPE = "quorum"
CELERY_TASK_QUEUES = [
    Queue(
        "keepsite.orders",
        Exchange("keepsite.orders", "topic"),
        routing_key="keepsite.orders",
        queue_arguments={"x-queue-type": "quorum"},
    ),
]
# What nobody can work on: no worker reads it, a relay brings it to the database.
DEAD_LETTER_QUEUE = Queue(
    "keepsite.dead",
    Exchange("keepsite.dead", "topic"),
    routing_key="keepsite.dead",
    queue_arguments={"x-queue-type": "quorum"},
)
CELERY_TASK_IGNORE_RESULT = True  # the order row is the result
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_ACKS_ON_FAILURE = True
CELERY_TASK_ACKS_ON_TIMEOUT = True
CELERY_TASK_SOFT_TIME_LIMIT = 45  # s, below the lease of an order
CELERY_TASK_TIME_LIMIT = 55  # s
CELERY_WORKER_CONSUMER = "orders_app.consumer:MessageGate"
CELERY_WORKER_DETECT_QUORUM_QUEUES = True  # they refuse a prefetch limit for a whole channel
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # its exclusive queues stay locked after a failover
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20  # s
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# Audit and logs
AUDIT_DIR = STATE_DIR / "audit"
AUDIT_COPIES = env("KEEPSITE_AUDIT_COPIES")
AUDIT_RETENTION_DAYS = env("KEEPSITE_AUDIT_RETENTION_DAYS")
AUDIT_SEAL_S = env("KEEPSITE_AUDIT_SEAL_S")
AUDIT_IF_UNWRITABLE = env("KEEPSITE_AUDIT_IF_UNWRITABLE")
LOGGING_CONFIG = "keepsite.logs.configure"
LOGGING = {"level": env("KEEPSITE_LOG_LEVEL")}
