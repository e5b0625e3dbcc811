#!/bin/sh
# Bring .venv to what a constraints file says, if it is not there already.
#
#   deploy/embedded/venv.sh constraints.txt|constraints-dev.txt
#
# Every download is checked against the hash in that file.  constraints-dev.txt holds all of constraints.txt,
# so an environment made for the tests also runs Keepsite.  Keepsite itself is installed as a link to these
# files: that makes its entry points known, which the oslopolicy-* tools look for.
set -eu

cd "$(dirname "$0")/../.."
constraints=$1
python=${PYTHON:-/usr/bin/python3}
stamp=.venv/keepsite-constraints.sha256 # what was installed, in sha256sum's format
link_stamp=.venv/keepsite-project.sha256    # which pyproject.toml the link was made from

is_up_to_date() {
    [ -f "$stamp" ] || return 1
    grep -q -e " $constraints\$" -e " constraints-dev.txt\$" "$stamp" || return 1
    sha256sum --check --status "$stamp" 2>/dev/null || return 1
    .venv/bin/python -c 'import django' 2>/dev/null # fails after Debian changed its Python
}

make_environment() {
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "Keepsite needs Python 3.11 or newer, and $python is not. Name one: make run PYTHON=/path/to/python3" >&2
        exit 1
    fi
    echo "Creating the virtual environment .venv with $("$python" --version) ..."
    "$python" -m venv --clear .venv
}

install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes "$@"
}

link_project() {
    if [ -L .venv ] || sha256sum --check --status "$link_stamp" 2>/dev/null; then
        return # an environment that is not this folder's is linked to the one whose it is
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
        --no-index --no-deps --no-build-isolation --editable .
    sha256sum pyproject.toml >"$link_stamp"
}

if is_up_to_date; then
    link_project
    exit 0
fi
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    make_environment
fi
echo "Installing the Python packages of $constraints, each checked against its hash ..."
# What has no ready-made wheel is built with the hashed setuptools, not with whatever pip would fetch for it.
build_tools=$(mktemp)
trap 'rm -f "$build_tools"' EXIT
awk '/^setuptools==/ { found = 1 } found { print } found && !/\\$/ { exit }' "$constraints" >"$build_tools"
rm -f "$stamp"
install -r "$build_tools"
install --no-build-isolation -r "$constraints"
sha256sum "$constraints" >"$stamp"
link_project
