# What the packages have in common: sets `version` and `machine` (as the binary and the machine say), makes `out`.
[ $# -eq 2 ] || { echo "$0 BINARY OUT" >&2; exit 2; }
binary=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
version=$("$binary" --version | awk '{ print $2 }')
machine=$(uname -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
