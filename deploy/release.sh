#!/usr/bin/env bash
# Builds the archives of a release: both programs for each platform, what they are made of, and
# the sums of all files. Whoever builds the same commit with the same Go gets the same bytes: the
# compiler is told no paths, every date is that of the commit, and tar is told the order, the
# owners and the modes.
#
# usage: deploy/release.sh FOLDER CYCLONEDX_GOMOD [PLATFORM...], such as linux/amd64
set -euo pipefail
out=$1 sbom=$(realpath "$2")
shift 2
[ $# -gt 0 ] || set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
mkdir -p "$out"
out=$(realpath "$out")
cd "$(dirname "$0")/.."

if [ -n "$(git status --porcelain)" ]; then
	echo "release: there are changes that are in no commit, so nobody could build the same" >&2
	exit 1
fi
rm -f "$out"/*
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
date=$(git log -1 --format=%ct)
export CGO_ENABLED=0 LC_ALL=C

for platform in "$@"; do
	export GOOS=${platform%/*} GOARCH=${platform#*/}
	mkdir "$stage/build"
	go build -trimpath -buildvcs=true -ldflags='-s -w' -o "$stage/build/" \
		./cmd/payment-consumer ./cmd/order-producer
	# The version is the tag, as the Go tool wrote it into the program: --version prints the same.
	version=$(go version -m "$stage/build/payment-consumer" | awk '$1 == "mod" { print $3 }')
	name=payment-$version-$GOOS-$GOARCH
	cp LICENSE configs/payment-consumer.yaml configs/order-producer.yaml "$stage/build/"
	sh deploy/notices.sh ./cmd/payment-consumer ./cmd/order-producer >"$stage/build/NOTICES"
	mv "$stage/build" "$stage/$name"
	tar --directory "$stage" --sort=name --mtime="@$date" --owner=0 --group=0 --numeric-owner \
		--mode='u=rwX,go=rX' --format=ustar --create "$name" | gzip -n -9 >"$out/$name.tar.gz"
	for program in payment-consumer order-producer; do
		"$sbom" app -json -std -licenses -noserial -notimestamp -main "cmd/$program" \
			-output "$out/$name.$program.cdx.json" . 2>"$stage/log" || { cat "$stage/log"; exit 1; }
	done
done
cd "$out"
sha256sum -- * >"$stage/sums"
mv "$stage/sums" SHA256SUMS
cat SHA256SUMS
