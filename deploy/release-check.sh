#!/usr/bin/env bash
# Builds a release twice, in two folders that share nothing but the commit and the modules, and
# compares the sums; and looks whether each archive has the licences of what its programs are made
# of.
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

for archive in "$work"/a/build/release/*.tar.gz; do
	mkdir "$work/open"
	tar --directory "$work/open" --strip-components=1 -xzf "$archive"
	# What a program is made of is read out of it, and not from the list that the notices follow.
	go version -m "$work/open/payment-consumer" "$work/open/order-producer" |
		awk '$1 == "dep" { print $2 "@" $3 }' | sort -u >"$work/modules"
	[ -s "$work/modules" ]
	while read -r module; do
		if ! grep -qxF "==== $module" "$work/open/NOTICES"; then
			echo "release-check: $(basename "$archive"): no licence of $module" >&2
			exit 1
		fi
	done <"$work/modules"
	echo "release-check: $(basename "$archive") has the licences of $(wc -l <"$work/modules") modules"
	rm -rf "$work/open"
done
echo "release-check: $(wc -l <"$work/sums-022") files are the same in both builds"
