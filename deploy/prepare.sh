#!/bin/sh
# Makes the passwords and keys of docker-compose.yml, once, and gives each reader the ones that it
# needs: copies that only the reader's user can read, in a volume that only the reader mounts. And
# gives the broker its volume, which Docker makes for root.
#
# usage: prepare.sh FOLDER, where FOLDER holds a folder for each volume
#
# It runs as root with the right to change owners and no other, so it cannot read what it has
# given away: the originals are in FOLDER/secrets. Running it again changes nothing.
set -eu

root=$1
mysql=999 redis=999 rocketmq=3000 consumer=65532 # the users in the images
umask 077

# secret NAME BYTES [PREFIX] makes a secret: hexadecimal, so that no quoting can go wrong.
secret() {
	file=$root/secrets/$1
	[ ! -s "$file" ] || return 0
	printf '%s%s\n' "${3:-}" "$(head -c "$2" /dev/urandom | od -An -v -tx1 | tr -d ' \n')" \
		>"$file.next"
	mv "$file.next" "$file" # whole or not at all
}

# give READER USER NAME copies a secret to a reader.
give() {
	put "$root/secrets-$1/$3" "$2" "$(cat "$root/secrets/$3")"
}

# put FILE USER TEXT
put() {
	rm -f "$1.next" # of a run that was cut short: it is another user's by now
	printf '%s\n' "$3" >"$1.next"
	chmod 0400 "$1.next"
	chown "$2" "$1.next"
	mv -f "$1.next" "$1"
}

secret mysql-root 16
secret mysql-app 16
secret mysql-migrate 16
secret mysql-archive 16
secret redis 16
secret cache-keys 32 k1:

give mysql "$mysql" mysql-root
give mysql "$mysql" mysql-app
give mysql "$mysql" mysql-migrate
give mysql "$mysql" mysql-archive
give migrate "$consumer" mysql-migrate
give archive "$consumer" mysql-archive
give consumer "$consumer" mysql-app
give consumer "$consumer" redis
give consumer "$consumer" cache-keys
give redis "$redis" redis
# Nobody but this user, who may do what the cache needs and nothing else.
put "$root/secrets-redis/redis.conf" "$redis" "user default off
user payment on >$(cat "$root/secrets/redis") $(cat "$(dirname "$0")/redis-rights.txt")"

chmod 0755 "$root"/secrets-* # the readers are other users, and look for their files by name
chown "$rocketmq" "$root/broker-data"
echo "secrets are there; a new set: docker compose down --volumes, which erases the data too"
