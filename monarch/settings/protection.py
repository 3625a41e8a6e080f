"""Which environments are hazardous to change."""

from __future__ import annotations

from monarch.databases.environment import Environment


def why_hazardous(environment: Environment) -> str | None:
    """Return why changing this environment is hazardous, or None if it is not.

    As in monarch 0.1, it is if it is called ``production`` or one of its hosts is not local. ``protected`` in
    the settings overrides that.
    """
    if environment.protected is not None:
        return "it is protected in the settings" if environment.protected else None
    if environment.name.lower() == "production":
        return "it is called production"
    for host in environment.hosts:
        if environment.hosts_by_dns or not _is_local(host):
            return f"its host {host} is not local"
    return None


def is_far(environment: Environment) -> bool:
    """Whether one of its hosts is another machine."""
    return any(environment.hosts_by_dns or not _is_local(host) for host in environment.hosts)


def _is_local(host: str) -> bool:
    if host.lower().startswith("%2f") or host.startswith("[::1]"):
        return True
    name = host.partition(":")[0].lower()
    return name in ("localhost", "127.0.0.1") or name.endswith("local")
