"""Addresses of database servers: ``scheme://user:password@host:port/database?option=value``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from modelwright._base.registry import nearest
from modelwright.errors import InputError

__all__ = ["ServerAddress"]


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a database is, and who asks for it.

    Attributes
    ----------
    scheme : str
        The kind of server.
    host : str
        Empty for the driver's own default.
    port : int, optional
        None for the usual one.
    database, user : str
        The user is empty for the driver's own default.
    password : str
        Never shown.
    options : Mapping of str to str
        What followed the question mark.
    """

    scheme: str
    host: str
    port: int | None
    database: str
    user: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: str, scheme: str, options: Collection[str]) -> ServerAddress:
        """Take an address apart.

        Parts of it are not repeated in messages before it is known which of them is the password.

        Parameters
        ----------
        url : str
            The whole address; its own scheme has been looked at already.
        scheme : str
            What to call the kind of server.
        options : collection of str
            The options that may follow the question mark.

        Raises
        ------
        InputError
            It makes no sense.
        """
        parts, port = _split(url, scheme)
        found = dict(parse_qsl(parts.query, keep_blank_values=True))
        for name in found:
            if name not in options:
                raise InputError(
                    f"addresses of {scheme}:// have no option {name[:30]!r}.",
                    hint=nearest(name, sorted(options)),
                    code="E_DB_URL",
                )
        return cls(
            scheme,
            unquote(parts.hostname or ""),
            port,
            unquote(parts.path[1:]),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            found,
        )

    @property
    def public(self) -> str:
        """The address as messages show it: without password and options."""
        user = f"{quote(self.user)}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else quote(self.host)
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{user}{host}{port}/{quote(self.database)}"

    def without_password(self, text: str) -> str:
        """Return `text`, which comes from elsewhere, less the password if it is in there."""
        return text.replace(self.password, "***") if self.password else text


def _split(url: str, scheme: str) -> tuple[SplitResult, int | None]:
    form = f"{scheme}://user:password@host:port/database"
    encode = "Of a user or a password, write @ as %40, : as %3A, / as %2F and % as %25."
    if url != url.strip() or any(ord(character) < 32 for character in url):
        raise InputError(
            f"the address of the {scheme}:// server holds spaces or line ends at its ends, or within.",
            hint=f"Expected {form}.",
            code="E_DB_URL",
        )
    if any("\ud800" <= character <= "\udfff" for character in url):  # as Python reads odd bytes of a variable
        raise InputError(
            f"the address of the {scheme}:// server holds bytes that are no text.",
            hint=encode,
            code="E_DB_URL",
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError(
            f"expected {form}, got an address whose port is no number from 0 to 65535.",
            hint=encode,
            code="E_DB_URL",
        ) from None
    if parts.fragment or parts.netloc.count("@") > 1:
        raise InputError(
            f"expected {form}, got an address with a stray '#' or '@'.", hint=encode, code="E_DB_URL"
        )
    if not parts.path.strip("/") or "/" in parts.path[1:]:
        raise InputError(
            f"expected {form}, got an address that does not end in the name of one database.",
            hint=encode,
            code="E_DB_URL",
        )
    return parts, port
