"""`modelwright serve`: a ledger for other machines and other languages."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from modelwright.cli.options import DEFAULT_STORAGE, StorageOption

__all__ = ["EXAMPLE", "serve"]

EXAMPLE = "Example: modelwright serve --storage sqlite:///hub.db --port 8090"


def serve(
    storage: StorageOption = DEFAULT_STORAGE,
    host: Annotated[
        str, typer.Option(help="Address to listen at, or a name that the server is called by.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes any.", min=0, max=65535)] = 8090,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A further name under which clients call the server; may be repeated."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token; made if it is not there. Beside the ledger by default."),
    ] = None,
    artifacts: Annotated[
        Path | None, typer.Option(help="Folder for the files of trials; beside a SQLite ledger by default.")
    ] = None,
    certfile: Annotated[Path | None, typer.Option(help="Certificate, for https.")] = None,
    keyfile: Annotated[Path | None, typer.Option(help="Key of the certificate.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy in front of this server encrypts.")
    ] = False,
    show_token: Annotated[bool, typer.Option("--show-token", help="Print the token.")] = False,
) -> None:
    """Serve a ledger over HTTP, to this machine only unless told otherwise; ends with Ctrl-C or SIGTERM."""
    from modelwright.server import Limits, make_app
    from modelwright.server.files import sweep
    from modelwright.server.readers import open_served
    from modelwright.server.run import Server, check_exposure, listen
    from modelwright.server.token import default_token_file, kept_token

    check_exposure(host, certfile=certfile, keyfile=keyfile, behind_proxy=behind_proxy)
    opened = open_served(storage)
    path = token_file or default_token_file(opened.url)
    token = kept_token(path)
    limits = Limits()
    shown = f"[{host}]" if ":" in host else host
    app = make_app(opened, token, hosts=[shown, *(name or ())], limits=limits, artifacts=artifacts)
    server = Server(app, limits, certfile=certfile, keyfile=keyfile)
    socket = listen(host, port)
    scheme = "http" if certfile is None else "https"

    def say() -> None:
        typer.echo(f"serving {opened.url} at {scheme}://{shown}:{socket.getsockname()[1]}")
        typer.echo(f"token in {path}" + (f": {token}" if show_token else ""))
        sys.stdout.flush()
        threading.Thread(target=sweep, args=(opened, artifacts), daemon=True).start()

    server.run(socket, say)
    if app.close():
        opened.close()
        return
    # A call of a database that does not answer would keep the process for as long as it waits.
    sys.stdout.flush()
    os._exit(0)
