#!/bin/sh
# Sees that the named tools are there: node, npm, chromium. Debian's packages are installed where that is possible (as
# root, with apt-get); else the last line on standard error says what is missing, and the exit code is 1.

packages=
for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 && continue
    case $tool in
        node) packages="$packages nodejs" ;;
        npm | chromium) packages="$packages $tool" ;;
        *) echo "$0: $tool: found an unknown tool, expected node, npm or chromium" >&2; exit 2 ;;
    esac
done

if [ -n "$packages" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "missing:$packages; install them, on Debian with: sudo apt-get install --no-install-recommends$packages" >&2
        exit 1
    fi
    # shellcheck disable=SC2086 # a list of names
    if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $packages; } >&2
    then
        echo "missing:$packages; apt-get could not install them" >&2
        exit 1
    fi
fi

for tool in "$@"; do
    if [ "$tool" = node ] && ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 18 ? 1 : 0)'; then
        echo "node is $(node --version), expected 18 or newer; install it from nodejs.org" >&2
        exit 1
    fi
done
