#!/bin/sh
# Creates the topics of a list that are missing, and waits until the name server hands out a route
# to each of them. A topic that is there is left as it is. It may be run again and again.
#
# usage: topics.sh NAME_SERVER BROKER FILE
#
# mqadmin ends with status 0 whatever happened, so only what the name server says counts, which is
# also what clients ask for. Each mqadmin starts Java, so there are few of them.
set -eu

name_server=$1 broker=$2 list=$3
mqadmin=${MQADMIN:-./mqadmin} # the image starts in RocketMQ's bin folder
attempts=${ATTEMPTS:-30}      # the first ones fail while the broker is starting
pause=${PAUSE:-1}             # seconds
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# wanted prints the list without its comments: a name and a number of queues on each line.
wanted() {
	sed -e '/^#/d' -e '/^$/d' "$list"
}

# look asks the name server what it knows. It fails while there is no answer and while no broker
# has registered, which every one does with this topic of its own: then nothing is known to be
# missing, and to create a topic that is there would change it.
look() {
	sh "$mqadmin" topicList -n "$name_server" >"$work/known" 2>&1 || true
	grep -Fqx SELF_TEST_TOPIC "$work/known"
}

# missing prints the wanted topics that the name server did not know.
missing() {
	wanted | while read -r topic queues; do
		grep -Fqx "$topic" "$work/known" || echo "$topic $queues"
	done
}

# create asks the broker for the topics on standard input, all at once.
create() {
	separator='['
	while read -r topic queues; do
		printf '%s{"topicName":"%s","readQueueNums":%d,"writeQueueNums":%d,"perm":6}\n' \
			"$separator" "$topic" "$queues" "$queues"
		separator=','
	done >"$work/topics.json"
	echo ']' >>"$work/topics.json"
	sh "$mqadmin" updateTopicList -n "$name_server" -b "$broker" -f "$work/topics.json" \
		>"$work/answer" 2>&1 || true
}

# routed says whether a topic's route has as many queues as were asked for.
routed() {
	sh "$mqadmin" topicRoute -n "$name_server" -t "$1" 2>&1 |
		grep -Eq "\"writeQueueNums\":[[:space:]]*$2([^0-9]|\$)"
}

if wanted | grep -Evqx '[^[:space:]]+ [1-9][0-9]*'; then
	echo "$list: each line must be a topic and its number of queues" >&2
	exit 2
fi
done=no
: >"$work/created"
for attempt in $(seq "$attempts"); do
	[ "$attempt" = 1 ] || sleep "$pause"
	look || continue
	missing >"$work/missing"
	if [ ! -s "$work/missing" ]; then
		done=yes
		break
	fi
	sort -u -o "$work/created" "$work/created" "$work/missing"
	create <"$work/missing"
done
if [ "$done" = no ]; then
	echo "not all topics are there after $attempts attempts; mqadmin said:" >&2
	head -n 5 "$work/known" >&2
	[ ! -s "$work/answer" ] || head -n 5 "$work/answer" >&2
	exit 1
fi
while read -r topic queues; do
	if ! routed "$topic" "$queues" </dev/null; then
		echo "$topic: its route has not $queues queues" >&2
		exit 1
	fi
	echo "created $topic with $queues queues"
done <"$work/created"
echo "all $(wanted | wc -l) topics are there"
