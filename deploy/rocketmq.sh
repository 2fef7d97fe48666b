#!/bin/bash
# Runs a server of RocketMQ so that a request to stop reaches it. The start scripts of the image
# stay in front of Java and do not pass signals on: docker would wait out the grace period and
# kill, and the broker would lose the consumers' last progress, which it writes every few seconds.
#
# usage: rocketmq.sh COMMAND..., such as: rocketmq.sh sh mqbroker -c /etc/rocketmq/broker.conf
set -euo pipefail

group=
stopping=
stop() {
	stopping=yes
	[ -z "$group" ] || kill -TERM -- "-$group" 2>/dev/null || true
}
trap stop TERM INT # before there is anything to stop: nobody waits until this script is ready

set -m # the command and all that it starts become a group that one signal reaches
"$@" &
group=$!
[ -z "$stopping" ] || stop # it came while the group had no name yet

status=0
wait "$group" || status=$?
# A signal ends the scripts at once and Java in order, which takes a moment longer.
while kill -0 -- "-$group" 2>/dev/null; do
	sleep 0.2
done
exit "$status"
