#!/usr/bin/env bash
# Builds a release twice, in two folders that share nothing but the commit and the modules, and
# compares the sums.
#
# usage: deploy/release-check.sh CYCLONEDX_GOMOD [PLATFORM...]
set -euo pipefail
cd "$(dirname "$0")/.."
sbom=$(realpath "$1")
shift
platforms=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build FOLDER UMASK
build() {
	git clone --quiet --no-hardlinks . "$work/$1"
	(umask "$2" && bash "$work/$1/deploy/release.sh" "$work/$1/build/release" "$sbom" \
		"${platforms[@]}") >"$work/sums-$2"
}

build a 022
# Without a cache of its own the second build would only copy the first.
GOCACHE=$work/cache build another/much/longer/one 077
if ! diff -u "$work/sums-022" "$work/sums-077"; then
	echo "release-check: two builds of one commit differ" >&2
	exit 1
fi
echo "release-check: $(wc -l <"$work/sums-022") files are the same in both builds"
