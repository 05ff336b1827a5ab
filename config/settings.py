"""Django's settings, all of them from the environment (the table in README.md).

Without DATABASE_URL this is the quick start: the embedded PostgreSQL under GATEBOOK_VAR, on this machine alone.
With it, it is a server: SECRET_KEY and ALLOWED_HOSTS are then required and cookies need HTTPS.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF
from django.urls import reverse_lazy

from config import postgres
from config.env import env_bool, env_choice, env_int, env_list, env_str, kept_secret, stop

BASE_DIR = Path(__file__).resolve().parent.parent

# --- What the environment decides ---------------------------------------------------------------
VAR = Path(env_str("GATEBOOK_VAR", str(BASE_DIR / "var"))).resolve()
PORT = env_int("PORT", 8000, least=1, most=65535)
DEBUG = env_bool("DEBUG", default=False)
DATABASE_URL = env_str("DATABASE_URL")
REDIS_URL = env_str("REDIS_URL")
ROOT_SITE = env_str("ROOT_SITE")
SECRET_KEY = env_str("SECRET_KEY")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", str, "host names, comma-separated")
PARTITIONS = env_choice("PARTITIONS", "day", ("day", "month"))
SYNC_EACH_LINE = env_bool("SYNC_EACH_LINE", default=False)
FILESCOM_HOSTS = env_list("FILESCOM_HOSTS", str, "host names, comma-separated")
TRUSTED_PROXIES = env_list("TRUSTED_PROXIES", ipaddress.ip_network, "addresses or networks, comma-separated")

QUICK_START = not DATABASE_URL
HTTPS = env_bool("HTTPS", default=not QUICK_START)
if QUICK_START:
    DATABASE_URL = postgres.database_url(VAR)
    SECRET_KEY = SECRET_KEY or kept_secret(VAR / "secret_key")
    ALLOWED_HOSTS = ALLOWED_HOSTS or ["localhost", "127.0.0.1", "[::1]"]
if not SECRET_KEY:
    raise stop("SECRET_KEY is not set; it must be a long random text where DATABASE_URL is set.")
if len(SECRET_KEY) < 50:
    raise stop(f"SECRET_KEY has {len(SECRET_KEY)} characters, expected 50 or more.")
if not ALLOWED_HOSTS:
    raise stop("ALLOWED_HOSTS is not set; name the hosts this server answers to, comma-separated.")
if "*" in ALLOWED_HOSTS and not DEBUG:
    raise stop("ALLOWED_HOSTS contains '*', expected the hosts this server answers to.")
if REDIS_URL and not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    raise stop("REDIS_URL is not an address that begins with redis://, rediss:// or unix://.")

# --- The parts ----------------------------------------------------------------------------------
INSTALLED_APPS = [
    "auditlog",
    "gatebook",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "hijack",
    "hijack.contrib.admin",
]
MIDDLEWARE = [
    "gatebook.middleware.GatebookMiddleware",  # first: it also records what the others refuse
    "auditlog.dashboard.failures.SecondTryMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "auditlog.dashboard.compression.CompressedPagesMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "auditlog.dashboard.reader.ReaderMiddleware",  # the reader's time zone
    "axes.middleware.AxesMiddleware",  # last, as its documentation asks
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
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
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Database -----------------------------------------------------------------------------------
_not_an_address = stop("DATABASE_URL is not an address that begins with postgresql://.")
try:
    _url_options = dj_database_url.parse(DATABASE_URL)
except ValueError:
    raise _not_an_address from None
if _url_options["ENGINE"] != "django.db.backends.postgresql":
    raise _not_an_address
_given = _url_options.get("OPTIONS", {})
DATABASES: dict[str, Any] = {
    "default": {
        **_url_options,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_given,
            "options": f"-c statement_timeout=30000 -c lock_timeout=10000 {_given.get('options', '')}",
        },
    },
}

# --- People -------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("login")
LOGIN_REDIRECT_URL = reverse_lazy("sites")
LOGOUT_REDIRECT_URL = LOGIN_URL
HIJACK_PERMISSION_CHECK = "hijack.permissions.superusers_only"
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_ENABLE_ADMIN = False
AXES_LOCKOUT_CALLABLE = "auditlog.dashboard.sign_in.locked_out"
AXES_CLIENT_IP_CALLABLE = "auditlog.dashboard.sign_in.guesser"
AXES_DISABLE_ACCESS_LOG = True  # sign-ins are in the book
AXES_VERBOSE = False

# --- Safety -------------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Static files -------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- Gatebook records itself (gatebook/conf.py explains each key) -------------------------------
GATEBOOK = {
    "SPOOL": VAR / "spool",
    "SYNC_EACH_LINE": SYNC_EACH_LINE,
    "SINK": "gatebook.sinks.StoreSink",
    "TRUSTED_PROXIES": TRUSTED_PROXIES,
    "IGNORE_PATHS": [STATIC_URL, "/healthz", "/readyz", "/favicon.ico"],
    "SITE": "auditlog.own_requests.site_slug",
    "USER": "auditlog.own_requests.user",
    "USER_FROM_PARENT_SITE": "auditlog.own_requests.user_is_from_parent_site",
    "IMPERSONATOR": "auditlog.own_requests.impersonator",
    "INTERFACES": [("/api/", "restapi"), ("//api/", "restapi"), ("/v1/", "restapi"), ("/", "web")],
}

# --- Work in the background ---------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1) or "filesystem://"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
if not REDIS_URL:
    (VAR / "broker").mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        **dict.fromkeys(("data_folder_in", "data_folder_out", "control_folder"), str(VAR / "broker")),
        "polling_interval": 0.25,  # seconds
    }
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR / "beat-schedule")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    # What goes wrong with Files.com is said in the sync's own words.
    "loggers": {"axes": {"level": "WARNING"}, "files_sdk": {"level": "CRITICAL"}},
}
