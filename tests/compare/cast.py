"""Who sends the requests: users of one Keystone, and a pair of projects for each scenario."""

from tests.support.servers.keystone import DOMAIN, PASSWORD, Keystone

ROLES = {
    "owner": ["member", "creator"],  # may create with either role set; whatever is not about roles is theirs
    "peer": ["member", "creator"],
    "chief": ["admin", "key-manager:service-admin"],
    "admin": ["admin"],
    "member": ["member"],
    "reader": ["reader"],
    "creator": ["creator"],
    "observer": ["observer"],
    "audit": ["audit"],
    "service_admin": ["key-manager:service-admin"],
    "service": ["service"],
    "nobody": ["unrelated"],
}
NO_PROJECT = {
    "at_the_system": {"system_scope": "all"},
    "at_the_domain": {"domain_id": DOMAIN},
    "unscoped": {"unscoped": True},
}
SERVICE_USER = "key-manager"


class Cast:
    """The users, made once; tokens are fetched when first needed."""

    def __init__(self, keystone: Keystone) -> None:
        self._keystone = keystone
        self._tokens = {}
        self._projects = {}
        keystone.make_project("service")
        keystone.make_user(SERVICE_USER, service=["service"])
        self.users = {
            name: keystone.make_user(_login(name), everywhere=roles) for name, roles in ROLES.items()
        }
        keystone.make_user("scopes", system=["admin"], domain=["admin"], everywhere=["admin"])

    def projects(self, scenario: str) -> dict[str, str]:
        """The project of a scenario and the other one, by ``project`` and ``away``."""
        if scenario not in self._projects:
            self._projects[scenario] = {
                "project": self._keystone.make_project(scenario),
                "away": self._keystone.make_project(f"{scenario}, away"),
            }
        return self._projects[scenario]

    def token(self, who: str, scenario: str) -> str:
        """A token of ``user``, ``user@away``, or of someone without a project."""
        user, _, where = who.partition("@")
        key = (who, scenario) if user in ROLES else (who, "")
        if key not in self._tokens:
            self._tokens[key] = self._fetched(user, where, scenario)
        return self._tokens[key]

    def _fetched(self, user: str, where: str, scenario: str) -> str:
        if user == "forged":
            return "gAAAAABforged"
        if user in NO_PROJECT:
            return self._keystone.token("scopes", **NO_PROJECT[user])
        return self._keystone.token(_login(user), project_id=self.projects(scenario)[where or "project"])


def _login(name: str) -> str:
    return f"cast-{name}"  # an admin is there already


def barbican_account(keystone: Keystone, *, memcached: str) -> dict[str, str]:
    """How Barbican validates tokens, in keystonemiddleware's words."""
    return {
        "www_authenticate_uri": keystone.url,
        "auth_url": keystone.url,
        "auth_type": "password",
        "username": SERVICE_USER,
        "password": PASSWORD,
        "user_domain_id": DOMAIN,
        "project_name": "service",
        "project_domain_id": DOMAIN,
        "service_type": "key-manager",
        "service_token_roles_required": "true",
        "token_cache_time": "300",
        "memcached_servers": memcached,
    }


def keepsite_account(keystone: Keystone, *, memcached: str) -> dict[str, str]:
    """The same for Keepsite, as its environment."""
    return {
        "KEEPSITE_AUTH": "keystone",
        "KEEPSITE_KEYSTONE_URL": keystone.url,
        "KEEPSITE_KEYSTONE_USERNAME": SERVICE_USER,
        "KEEPSITE_KEYSTONE_PASSWORD": PASSWORD,
        "KEEPSITE_KEYSTONE_PROJECT": "service",
        "KEEPSITE_KEYSTONE_CACHE_S": "300",
        "KEEPSITE_KEYSTONE_MEMCACHED": memcached,
    }
