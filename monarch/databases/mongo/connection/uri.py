"""MongoDB connection strings: parsed without showing any part of them, and built.

The grammar is that of MongoDB's "Connection String Spec":
``mongodb[+srv]://[user[:password]@]host[,host…][/[authentication database]][?name=value&…]``.
pymongo parses them too, but its errors quote what it took for a host name, which is a part of the password if
an ``@`` in it was not escaped. The errors here quote nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus

from monarch.errors import SettingsError
from monarch.system.secrets import Secret

# The options of MongoDB's drivers, as pymongo knows them. A test compares the two.
OPTIONS = [
    "appName",
    "authMechanism",
    "authMechanismProperties",
    "authSource",
    "compressors",
    "connectTimeoutMS",
    "directConnection",
    "heartbeatFrequencyMS",
    "journal",
    "loadBalanced",
    "localThresholdMS",
    "maxConnecting",
    "maxIdleTimeMS",
    "maxPoolSize",
    "maxStalenessSeconds",
    "minPoolSize",
    "readConcernLevel",
    "readPreference",
    "readPreferenceTags",
    "replicaSet",
    "retryReads",
    "retryWrites",
    "serverMonitoringMode",
    "serverSelectionTimeoutMS",
    "socketTimeoutMS",
    "srvMaxHosts",
    "srvServiceName",
    "ssl",
    "timeoutMS",
    "tls",
    "tlsAllowInvalidCertificates",
    "tlsAllowInvalidHostnames",
    "tlsCAFile",
    "tlsCertificateKeyFile",
    "tlsCertificateKeyFilePassword",
    "tlsCRLFile",
    "tlsDisableOCSPEndpointCheck",
    "tlsInsecure",
    "uuidRepresentation",
    "w",
    "waitQueueTimeoutMS",
    "wTimeoutMS",
    "zlibCompressionLevel",
]
SECRET_OPTIONS = frozenset({"authMechanismProperties", "tlsCertificateKeyFilePassword"})

# Options of older or other drivers, by their names in small letters, and what to do about them.
_FOREIGN = {
    **dict.fromkeys(("tz_aware", "tzaware", "connect", "document_class"), "Remove it: monarch decides this."),
    **dict.fromkeys(("usenewurlparser", "useunifiedtopology"), "Remove it: it has no meaning any more."),
    **dict.fromkeys(("ssl_ca_certs", "sslcertificateauthorityfile"), "Write 'tlsCAFile' instead."),
    **dict.fromkeys(
        ("ssl_certfile", "sslclientcertificatekeyfile"), "Write 'tlsCertificateKeyFile' instead."
    ),
    **dict.fromkeys(("slaveok", "slave_okay"), "Write 'readPreference=secondaryPreferred' instead."),
    "autoreconnect": "Remove it: it has no meaning any more.",
    "j": "Write 'journal' instead.",
    "poolsize": "Remove it: monarch decides this.",
}
_BY_LOWER = {option.lower(): option for option in OPTIONS}
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Azure writes the value as @name@.
_APP_NAME = re.compile(r"(?<=[?&;])appName=[^&;]*", re.IGNORECASE)
_SOCKET = "Write each / of the path as %2F, for example mongodb://%2Ftmp%2Fmongodb-27017.sock/app."
_ESCAPE = "In user name and password write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25."

Option = tuple[str, str | Secret]


@dataclass(frozen=True)
class Uri:
    """The parts of a connection string. ``path`` is the database in it, where a driver looks up the user."""

    srv: bool
    hosts: tuple[str, ...]
    username: str | None
    password: Secret | None
    path: str
    options: tuple[Option, ...]


def parse(text: str) -> Uri:
    """Parse a connection string.

    :raises SettingsError: saying what is wrong with it without quoting any of it.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("mongodb", "mongodb+srv"):
        raise SettingsError("it does not begin with mongodb:// or mongodb+srv://")
    userinfo, rest = _split_userinfo(_APP_NAME.sub(lambda found: found[0].replace("@", "%40"), rest))
    before_query, _, query = rest.partition("?")
    authority, _, path = before_query.partition("/")
    if not authority and ".sock" in path:
        raise SettingsError("it has the path of a socket that is not escaped", _SOCKET)
    username, password = _credentials(userinfo)
    return Uri(
        srv=scheme == "mongodb+srv",
        hosts=parse_hosts(authority, srv=scheme == "mongodb+srv"),
        username=username,
        password=password,
        path=unquote(path),
        options=_options(query),
    )


def parse_hosts(text: str, *, srv: bool = False) -> tuple[str, ...]:
    """Split ``h1:27017,h2:27017`` into a tuple.

    :raises SettingsError: for an empty name or an invalid port, quoting nothing.
    """
    hosts = tuple(host.strip() for host in text.split(","))
    for host in hosts:
        if not host:
            raise SettingsError("a host name in it is empty", "Write it as h1:27017,h2:27017.")
        _check_host(host, srv)
    if srv and len(hosts) != 1:
        raise SettingsError("mongodb+srv:// takes exactly one host name")
    return hosts


def build(parts: Uri) -> str:
    """Return the connection string of ``parts``, secrets included."""
    userinfo = ""
    if parts.username is not None:
        userinfo = quote(parts.username, safe="")
        if parts.password is not None:
            userinfo += ":" + quote(parts.password.reveal(), safe="")
        userinfo += "@"
    query = "&".join(
        f"{name}={quote(value.reveal() if isinstance(value, Secret) else value, safe=':,')}"
        for name, value in parts.options
    )
    scheme = "mongodb+srv" if parts.srv else "mongodb"
    path = quote(parts.path, safe="")
    return f"{scheme}://{userinfo}{','.join(parts.hosts)}/{path}" + (f"?{query}" if query else "")


def _split_userinfo(rest: str) -> tuple[str | None, str]:
    if rest.count("@") > 1:
        raise SettingsError("it has more than one @", _ESCAPE)
    userinfo, at, after = rest.partition("@")
    if not at:
        return None, rest
    if re.search(r"[/?#\[\]]", userinfo) or userinfo.count(":") > 1:
        raise SettingsError("its user name or password has a character that must be escaped", _ESCAPE)
    if _PERCENT.search(userinfo):
        raise SettingsError("its user name or password has a % that escapes nothing", _ESCAPE)
    return userinfo, after


def _credentials(userinfo: str | None) -> tuple[str | None, Secret | None]:
    if userinfo is None:
        return None, None
    username, colon, password = userinfo.partition(":")
    if not username:
        raise SettingsError("it has no user name before its @")
    return unquote(username), Secret(unquote(password)) if colon else None


def _options(query: str) -> tuple[Option, ...]:
    return tuple(_option(pair) for pair in re.split("[&;]", query) if pair)


def _option(pair: str) -> Option:
    name, equals, value = pair.partition("=")
    if not equals:
        raise SettingsError("an option in it has no value", "Write options as ?name=value&…")
    canonical = _BY_LOWER.get(name.lower())
    if hint := _FOREIGN.get(name.lower()):
        raise SettingsError(
            f"it has the option {name.lower()!r}, which not all of MongoDB's drivers know", hint
        )
    if canonical is None:
        # The name itself may be the end of a password with an unescaped "?".
        raise SettingsError("an option in it is not one that MongoDB's drivers know", _ESCAPE)
    return make_option(canonical, unquote_plus(value))


def make_option(name: str, value: str) -> Option:
    """Return an option. A secret value is a `Secret`, and so are its parts, which pymongo quotes."""
    if name not in SECRET_OPTIONS:
        return name, value
    for piece in re.split("[,:]", value):
        Secret(piece)
    return name, Secret(value)


def _check_host(host: str, srv: bool) -> None:
    if "@" in host or "://" in host:
        raise SettingsError("it is a connection string, not host names", "Use 'uri' for it.")
    if host.lower().startswith("%2f"):
        return
    if host.startswith("/"):
        raise SettingsError("it has the path of a socket that is not escaped", _SOCKET)
    if re.fullmatch(r"[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,5}){2,}", host):
        raise SettingsError("an IPv6 address in it has no [ ]", "Write it as [::1]:27017.")
    if host.startswith("["):
        address, _, port = host[1:].partition("]")
        if not re.fullmatch(r"[0-9A-Fa-f:.]+", address) or not re.fullmatch(r"(:[0-9]{1,5})?", port):
            raise SettingsError("what is in its [ ] is not an IP address", _ESCAPE)
        return
    _, colon, port = host.partition(":")
    if colon and srv:
        raise SettingsError("mongodb+srv:// takes a host name without a port")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise SettingsError(
            "a port in it is not a number from 1 to 65535", f"Write it as h1:27017. {_ESCAPE}"
        )
    if re.search(r"[\s/?#%]", host):
        raise SettingsError("a host name in it has a character that host names cannot have", _ESCAPE)
