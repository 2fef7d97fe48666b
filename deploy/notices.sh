#!/bin/sh
# Prints the licence texts and notices of everything that is compiled into programs: of Go itself,
# and of each module, from its own folder and from those of the packages that are used of it, as
# some hold code of others. GOOS and GOARCH say for which platform.
#
# usage: deploy/notices.sh PACKAGE...
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C
tab=$(printf '\t')

texts() { # FOLDER
	find "$1" -maxdepth 1 -type f ! -name '*.go' \( -iname 'licen[cs]e*' -o -iname 'copying*' \
		-o -iname 'copyright*' -o -iname 'notice*' -o -iname 'patents*' \) | sort
}

show() { # NAME FILE PATH
	printf '\n==== %s\n==== %s\n\n' "$1" "$2"
	cat "$3"
}

uses='{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}{{"\t"}}{{.Dir}}{{"\t"}}{{$.Dir}}{{end}}{{end}}'
list=$(go list -deps -f "$uses" "$@" | sort -u)
# From each package up to its module.
found=$(printf '%s\n' "$list" | while IFS=$tab read -r module root folder; do
	while :; do
		texts "$folder" | while read -r path; do
			printf '%s\t%s\t%s\n' "$module" "${path#"$root"/}" "$path"
		done
		[ "$folder" != "$root" ] || break
		folder=$(dirname "$folder")
	done
done | sort -u)

printf '%s\n' "$list" | cut -f 1 | sort -u | while read -r module; do
	if ! printf '%s\n' "$found" | cut -f 1 | grep -qxF "$module"; then
		echo "notices: $module has no licence text" >&2
		exit 1
	fi
done

cat <<'TEXT'
These programs contain code of others, whose licences and notices follow. The source of each is
what "go mod download MODULE@VERSION" brings, unchanged.
TEXT
show "$(go env GOVERSION)" LICENSE "$(go env GOROOT)/LICENSE"
printf '%s\n' "$found" | while IFS=$tab read -r module file path; do
	show "$module" "$file" "$path"
done
