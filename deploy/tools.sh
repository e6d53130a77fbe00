#!/bin/sh
# Sees that PostgreSQL's programs are there; Debian's package is installed where that is possible (as root, with apt-get).
# Else the last line on standard error says what is missing, and the exit code is 1.

command -v initdb >/dev/null 2>&1 && exit 0
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: postgresql; install it, on Debian with: sudo apt-get install --no-install-recommends postgresql" >&2
    exit 1
fi
if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql; } >&2
then
    echo "missing: postgresql; apt-get could not install it" >&2
    exit 1
fi
