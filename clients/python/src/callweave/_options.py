"""Options with their bounds."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from typing_extensions import TypedDict

from ._errors import invalid_field


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS of a connection: PEM texts, or paths of PEM files."""

    ca: str | bytes | Path | None = None
    """Authorities to trust. Default: those of the system, as `ssl` finds them."""
    cert: str | bytes | Path | None = None
    """The client's certificate chain, for mutual TLS."""
    key: str | bytes | Path | None = None
    """Its private key."""


Token = str | Callable[[], str | Awaitable[str]]
"""A bearer token, or a function that is asked for a fresh one for each stream and request, and when that of a stream expires."""


class ConnectionOptions(TypedDict, total=False):
    """How to reach a gateway."""

    endpoint: str
    """"host:port". Default: the environment variable CALLWEAVE_ENDPOINT, else "127.0.0.1:7070"."""
    endpoints: Sequence[str]
    """Several gateways; the next one is tried when one cannot be reached or goes away. Default: `[endpoint]`."""
    token: Token
    """The bearer token. A function that does not answer within `connect_timeout` (the stream of an agent) or `request_timeout`
    fails that attempt with TRANSPORT, DEADLINE_EXCEEDED. Default: the environment variable CALLWEAVE_TOKEN."""
    tls: bool | Tls
    """TLS: True for the authorities of the system. Default: False, plain text. Use it off the machine: tokens travel in it."""
    request_timeout: float
    """How long a unary request may take with its token, its `wait` not counted. Seconds, 0.001 to 600. Default: 10."""
    keepalive: float
    """How often a silent connection is probed. Seconds, 10 to 86,400. Default: 20."""
    interceptors: Sequence[grpc.aio.ClientInterceptor]
    """Interceptors of grpc.aio for every request and stream. Default: none."""
    channel_options: Sequence[tuple[str, Any]]
    """Further options of gRPC channels, over those of this library. Default: none."""


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """How to reach a gateway, defaults filled in."""

    endpoints: tuple[str, ...]
    token: Callable[[], str | Awaitable[str]]
    tls: bool | Tls
    request_timeout: float
    keepalive: float
    interceptors: tuple[grpc.aio.ClientInterceptor, ...]
    channel_options: tuple[tuple[str, Any], ...]


def known(given: Mapping[str, Any], shape: type) -> None:
    """Refuses names that a TypedDict does not have, as a function would."""
    names: frozenset[str] = getattr(shape, "__required_keys__") | getattr(shape, "__optional_keys__")  # noqa: B009
    for name in given:
        if name not in names:
            raise TypeError(f"unexpected option {name!r}; there are: {', '.join(sorted(names))}")


def seconds(name: str, value: object, low: float, high: float) -> float:
    """A duration, checked. Raises INVALID_FIELD with the name of the option and its rule."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:
        return float(value)
    raise invalid_field(name, f"a number of seconds from {low:g} to {high:g}", value)


def whole(name: str, value: object, low: int, high: int) -> int:
    """A whole number, checked. Raises INVALID_FIELD with the name of the option and its rule."""
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise invalid_field(name, f"a whole number from {low} to {high}", value)


def connection_config(options: ConnectionOptions) -> ConnectionConfig:
    """Fills in the defaults. Raises INVALID_FIELD."""
    endpoints = options.get("endpoints")
    if endpoints is None:
        endpoints = [options.get("endpoint") or os.environ.get("CALLWEAVE_ENDPOINT") or "127.0.0.1:7070"]
    if isinstance(endpoints, str) or not endpoints or not all(isinstance(e, str) and e for e in endpoints):
        raise invalid_field("endpoints", 'a list of at least one "host:port"', endpoints)
    token = options.get("token")
    if token is None:
        token = os.environ.get("CALLWEAVE_TOKEN", "")
    if not isinstance(token, str) and not callable(token):
        raise invalid_field("token", "a text or a function", type(token).__name__)
    text = token if isinstance(token, str) else ""
    return ConnectionConfig(
        endpoints=tuple(endpoints),
        token=token if not isinstance(token, str) else lambda: text,
        tls=options.get("tls", False),
        request_timeout=seconds("request_timeout", options.get("request_timeout", 10), 0.001, 600),
        keepalive=seconds("keepalive", options.get("keepalive", 20), 10, 86_400),
        interceptors=tuple(options.get("interceptors", ())),
        channel_options=tuple(options.get("channel_options", ())),
    )


def is_loopback(endpoint: str) -> bool:
    """Whether an endpoint is this machine: then no proxy is used."""
    host = re.sub(r"^(dns|ipv4|ipv6):(//[^/]*/)?", "", endpoint)
    if endpoint.startswith("unix:") or host == "::1":
        return True
    host = re.sub(r":\d+$", "", host)
    return re.fullmatch(r"localhost|127(\.\d+){3}|\[?::1\]?", host, re.IGNORECASE) is not None


def channel_credentials(tls: bool | Tls) -> grpc.ChannelCredentials | None:
    """Credentials of a channel; None for plain text. Raises INVALID_FIELD for files that cannot be read."""
    if tls is False:
        return None
    if tls is True:
        return grpc.ssl_channel_credentials(_system_authorities())
    return grpc.ssl_channel_credentials(
        _pem("tls.ca", tls.ca) or _system_authorities(), _pem("tls.key", tls.key), _pem("tls.cert", tls.cert)
    )


def _pem(name: str, value: str | bytes | Path | None) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str) and "-----BEGIN" in value:
        return value.encode()
    if isinstance(value, bytes):
        return value
    try:
        return Path(value).read_bytes()
    except OSError as error:
        raise invalid_field(
            name, "a PEM text or the path of a file that can be read", error.strerror
        ) from error


def _system_authorities() -> bytes | None:
    """gRPC brings its own list, which knows nothing of what an administrator has added."""
    certificates = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, certificates)).encode() or None
