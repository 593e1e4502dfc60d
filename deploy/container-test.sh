#!/usr/bin/env bash
# Builds the image, brings the fleet up, uses it, kills a worker, recreates everything, and looks whether all is still there.
#   deploy/container-test.sh                                   with docker compose
#   CONTAINERS=../shared/tools/containers-without-docker deploy/container-test.sh     without a Docker engine
# BUILD=no uses the image that is there. Without a Docker engine podman's network needs iptables (apt install iptables).
# The report goes to docs/evidence/containers.md.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=${CONTAINERS:-}
if [ -z "$tool" ] && ! docker compose version >/dev/null 2>&1 && [ -x ../shared/tools/containers-without-docker ]; then
  tool=../shared/tools/containers-without-docker
fi
name=kept-$(date +%s) report=docs/evidence/containers.md url=http://127.0.0.1:8000 work=$(mktemp -d)
mkdir -p docs/evidence
if [ -n "$tool" ]; then
  build() { "$tool" build; }
  compose() { "$tool" compose "$@"; }
  engine=podman
  export CONTAINERS_CONF=${TMPDIR:-/tmp}/containers-without-docker/containers.conf
else
  build() { docker compose build; }
  compose() { docker compose "$@"; }
  engine=docker
fi

say() { echo "- $*" | tee -a "$report"; }
ready() { for _ in $(seq 120); do curl -fsS "$url/readyz" >/dev/null 2>&1 && return; sleep 1; done; echo "not ready" >&2; exit 1; }
sample() { curl -fsS -m 60 "$url/sample" -H 'content-type: application/json' -H 'accept: application/x-npy' -d "{\"seed\": $1, \"n\": 4}"; }
trap 'compose logs >"$work/logs" 2>&1 || true; tail -n 40 "$work/logs"; compose down >/dev/null 2>&1 || true' ERR

printf '# The fleet in containers\n\nMade by `make container-test` (%s, %s).\n\n' "$engine" "$(date -u +%F)" >"$report"
if [ "${BUILD:-yes}" = yes ]; then
  began=$SECONDS; build >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log"; exit 1; }
  say "image built in $((SECONDS - began)) s"
fi
began=$SECONDS; compose up -d --scale worker=2 >"$work/up.log" 2>&1; ready
say "API, two workers and Redis up and ready in $((SECONDS - began)) s"
sample 7 >"$work/before.npy"
say "four pictures of seed 7: $(wc -c <"$work/before.npy") bytes, SHA-256 $(sha256sum <"$work/before.npy" | cut -c1-16)"
curl -fsS "$url/latents" -H 'content-type: application/json' -d '{"name": "'"$name"'", "from": {"seed": 7}}' >"$work/latent.json"
say "latent \`$name\` saved: $(head -c 100 "$work/latent.json" | tr -d '\n')…"
jobs=()
for seed in $(seq 1 40); do
  jobs+=("$(curl -fsS "$url/sample" -H 'content-type: application/json' -H 'prefer: respond-async' -d "{\"seed\": $seed, \"n\": 32}" | sed 's/.*"id": *"\([0-9a-f]*\)".*/\1/')")
done
victim=$($engine ps --format '{{.Names}}' | grep worker | head -n 1)
$engine kill --signal KILL "$victim" >/dev/null
say "40 jobs accepted, then \`$engine kill $victim\`"
sample 7 | cmp - "$work/before.npy"
say "a request right after it: the same bytes"
done_jobs=0
for id in "${jobs[@]}"; do
  for _ in $(seq 120); do
    state=$(curl -fsS "$url/jobs/$id" | sed 's/.*"state": *"\([a-z]*\)".*/\1/')
    [ "$state" = succeeded ] && { done_jobs=$((done_jobs + 1)); break; }
    sleep 0.5
  done
done
say "$done_jobs of 40 accepted jobs succeeded"
[ "$done_jobs" = 40 ]
compose down >"$work/down.log" 2>&1; compose up -d --scale worker=2 >"$work/up2.log" 2>&1; ready
say "everything removed and created again (volume kept)"
curl -fsS "$url/latents/$name" >/dev/null
sample 7 | cmp - "$work/before.npy"
say "latent \`$name\` is still there, and the four pictures are the same bytes"
api=$($engine ps --format '{{.Names}}' | grep api | head -n 1)
say "the API runs as user $($engine exec "$api" id -u), its root file system is $($engine exec "$api" sh -c 'touch /x 2>/dev/null && echo writable || echo read-only')"
compose down >/dev/null 2>&1
printf '\nEverything above happened on one machine; images: `%s`.\n' "$engine" >>"$report"
cat "$report"
