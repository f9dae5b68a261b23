"""Certificates that nobody has signed, for servers on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 and its key in `folder`, and return both files."""
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ledger.example -keyout key.pem -out cert.pem"
    done = subprocess.run(
        ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("needs openssl to make a certificate")
    return folder / "cert.pem", folder / "key.pem"
