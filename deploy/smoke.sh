#!/usr/bin/env bash
# Tries the system of docker-compose.yml from end to end: builds and starts it, sends orders, some
# of them twice, waits for a result of each, audits the ledger, and takes everything away again,
# with its data.
#
# usage: deploy/smoke.sh, where a Docker engine runs
set -euo pipefail
cd "$(dirname "$0")/.."

orders=${ORDERS:-20}
repeats=$((orders / 5))  # 20%
attempts=${ATTEMPTS:-12} # to read the results
pause=${PAUSE:-5}        # seconds
# A project of its own, so that its end takes nothing away from one that somebody runs here.
export COMPOSE_PROJECT_NAME=payment-smoke
results=$(mktemp)

finish() {
	status=$?
	if [ "$status" != 0 ]; then
		docker compose ps --all || true
		docker compose logs --no-color --tail 100 || true
	fi
	docker compose --profile tools down --volumes --timeout 30 || status=1
	rm -f "$results"
	exit "$status"
}
trap finish EXIT

producer() { docker compose run --rm -T --no-deps order-producer "$@"; }
lines() { wc -l <"$results"; }
# paid counts the orders that a result calls paid. A result may come twice.
paid() {
	sed -n '/"outcome":"paid"/s/.*"order_id":"\([^"]*\)".*/\1/p' "$results" | sort -u | wc -l
}

docker compose --profile tools build
docker compose up --wait --wait-timeout 600
producer load --orders "$orders" --repeat 20%

for attempt in $(seq "$attempts"); do
	[ "$attempt" = 1 ] || sleep "$pause"
	producer results -o jsonl >>"$results"
	[ "$(lines)" -lt $((orders + repeats)) ] || break
done
echo "smoke: orders=$orders repeats=$repeats results=$(lines) paid=$(paid)"
# Every payer has 1000.00 and no order is above 20.00, so all are paid.
if [ "$(lines)" -lt $((orders + repeats)) ] || [ "$(paid)" -ne "$orders" ]; then
	echo "smoke: want a result of each message, and each order paid" >&2
	exit 1
fi
docker compose exec -T payment-consumer payment-consumer audit
