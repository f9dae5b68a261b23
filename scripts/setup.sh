#!/bin/sh
# Make the virtual environment that the Makefile uses, and install Modelwright in it.
#
#   scripts/setup.sh VENV            what a user of tables needs
#   scripts/setup.sh VENV dev        the tools of developers too
#   scripts/setup.sh VENV bench      the peers that benchmarks compare with too
#   scripts/setup.sh VENV bench-search    what the tasks of a search harness need too
#
# The interpreter is $PYTHON, or else the first of python3, python3.13, 3.12, 3.11 and python that will do.
# An environment that is there already is kept and brought up to date.
set -eu

venv=${1:?usage: scripts/setup.sh VENV [dev|bench|bench-search]}
kind=${2:-user}
cd "$(dirname "$0")/.."

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null 2>&1 || fail "PYTHON=$PYTHON is not a program on this machine."
        new_enough "$PYTHON" || fail "Python 3.11 or newer is needed, but PYTHON=$PYTHON is $(version_of "$PYTHON")." \
            "Give another one: make PYTHON=/path/to/python3.11"
        return
    fi
    for PYTHON in python3 python3.13 python3.12 python3.11 python; do
        if new_enough "$PYTHON"; then return; fi
    done
    fail "Python 3.11 or newer is needed, but none was found (python3 is $(version_of python3))." \
        "Install one, or say where it is: make PYTHON=/path/to/python3.11"
}

version_of() {
    "$1" --version 2>&1 | head -n 1 || true
}

make_venv() {
    find_python
    "$PYTHON" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        fail "$PYTHON ($(version_of "$PYTHON")) comes without the modules venv and ensurepip." \
            "Install them (on Debian and Ubuntu: apt install python3-venv), or give another Python: make PYTHON=..."
    echo "setup: making $venv with $PYTHON ($(version_of "$PYTHON"))"
    "$PYTHON" -m venv --clear "$venv" || fail "$PYTHON could not make the virtual environment $venv; see above."
}

# A folder that was moved, or whose interpreter is gone, is made anew.
new_enough "$venv/bin/python" || make_venv
"$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
    fail "there is no pip in $venv." "Remove the folder and try again: rm -r $venv"

install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$@" ||
        fail "pip could not install what is needed; its message is above." "Is the package index in reach?"
}

echo "setup: installing into $venv (a few minutes the first time)"
case $kind in
user)
    install --editable '.[tabular,plot]'
    ;;
dev)
    # Read by ourselves, because only a recent pip knows dependency groups.
    "$venv/bin/python" scripts/dependency_group.py dev >"$venv/dev-requirements.txt"
    # For tests of trials of several ranks; by its exact version, so that no other one is looked at.
    install "$(grep '^torch==' constraints.txt)"
    install --editable '.[tabular,plot,postgresql,mysql,server,http,dask]' --requirement "$venv/dev-requirements.txt"
    touch "$venv/.stamp-dev"
    ;;
bench)
    install --editable '.[tabular,plot,postgresql,mysql,server,http]' --requirement scripts/bench-requirements.txt
    touch "$venv/.stamp-bench"
    ;;
bench-search)
    install --editable . --requirement scripts/bench-search-requirements.txt
    touch "$venv/.stamp-bench-search"
    ;;
*)
    fail "expected dev, bench or bench-search, got $kind."
    ;;
esac
touch "$venv/.stamp-user"
