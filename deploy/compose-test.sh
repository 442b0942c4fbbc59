#!/usr/bin/env bash
# Runs the cluster of docker-compose.yml and hurts it: every node serves the same
# version; when the refresher is killed another takes over and reads go on; a node
# cut off from etcd goes on serving, says how stale it is, and recovers.
#
#   bash deploy/compose-test.sh
#
# FRESHET_IMAGE and ETCD_IMAGE, both set: images to use as they are. Otherwise
#   stand-ins are built (deploy/standin.sh) and removed again.
# FRESHET_BIN  a static freshet for the stand-in, instead of building one
# BASE_PORT    first of the ports used on 127.0.0.1 (default: some that are free)
#
# It touches only what it made itself: a project, networks, volumes and images
# under a name of this run. Every wait has a deadline.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

project=freshettest$$x$RANDOM

# free_base prints the first of the ports this run uses, none of which answers.
free_base() {
  local base offset
  for base in 17480 18480 19480 20480 21480 22480; do
    for offset in 0 1 10 100 101 200 201; do
      ! (exec 3<>"/dev/tcp/127.0.0.1/$((base + offset))") 2>/dev/null || continue 2
    done
    echo "$base"
    return
  done
  echo "no free ports from 17480 to 22681 on 127.0.0.1: set BASE_PORT" >&2
  return 1
}
base=${BASE_PORT:-$(free_base)}
work=$(mktemp -d)
began=$SECONDS

export NODE1_PORT=$base NODE1_OPS_PORT=$((base + 1))
export NODE2_PORT=$((base + 100)) NODE2_OPS_PORT=$((base + 101))
export NODE3_PORT=$((base + 200)) NODE3_OPS_PORT=$((base + 201))
export SANDBOX_PORT=$((base + 10))
export FRESHET_TRACING_OTLP=
FRESHET_BOOTSTRAP_KEY=test-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export FRESHET_BOOTSTRAP_KEY

# The client key goes to curl in a file: a command line is for everybody to read.
(umask 077 && echo "Authorization: Bearer $FRESHET_BOOTSTRAP_KEY" >"$work/authorization")

say() { printf '[%3d s] %s\n' $((SECONDS - began)) "$*"; }

die() {
  say "FAILED: $*"
  exit 1
}

# Compose is a plugin of docker or a program of its own.
if docker compose version >/dev/null 2>&1; then
  compose() { docker compose -p "$project" "$@"; }
else
  compose() { docker-compose -p "$project" "$@"; }
fi

built=
finish() {
  local code=$?
  trap - EXIT INT TERM
  if ((code != 0)); then
    say "the last lines of every container:"
    compose logs --no-color --tail=40 2>&1 || true
  fi
  say "taking the cluster down"
  compose down -v --remove-orphans --timeout 5 >"$work/down" 2>&1 || cat "$work/down"
  # shellcheck disable=SC2086 # two names
  [[ -z $built ]] || docker rmi -f $built >/dev/null 2>&1 || true
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

port() {
  local name=NODE${1#node}_PORT
  echo "${!name}"
}

# call NODE PATH leaves the answer in $status, $body and $work/headers; status 000 is no answer.
call() {
  status=$(curl -sS -m 5 -o "$work/body" -D "$work/headers" -w '%{http_code}' \
    -H @"$work/authorization" "http://127.0.0.1:$(port "$1")$2" 2>"$work/curl") || status=000
  body=
  [[ $status == 000 ]] || body=$(cat "$work/body")
}

header() { tr -d '\r' <"$work/headers" | sed -n "s/^$1: *//Ip" | tail -1; }

field() { sed -n "s/.*\"$1\" *: *\"\\{0,1\\}\\([^\",}]*\\).*/\\1/p" <<<"$body" | head -1; }

# await SECONDS WHAT COMMAND… tries until the command succeeds.
await() {
  local limit=$1 what=$2 start=$SECONDS told=$SECONDS
  shift 2
  until "$@"; do
    ((SECONDS - start < limit)) || die "not within $limit s: $what (last answer: ${status:-none} ${body:0:200})"
    ((SECONDS - told < 5)) || { say "waiting: $what (last answer: ${status:-none})"; told=$SECONDS; }
    sleep 0.3
  done
  say "$what (after $((SECONDS - start)) s)"
}

readonly token=/v1/tokens/shop/access_token

reads() { call "$1" "$token" && [[ $status == 200 ]]; }

version_on() { reads "$1" && header Freshet-Version; }

same_version() {
  local node first='' v
  for node in "$@"; do
    v=$(version_on "$node") || return 1
    [[ -n $v ]] || return 1
    first=${first:-$v}
    [[ $v == "$first" ]] || return 1
  done
  version=$first
}

refresher_seen_by() {
  call "$1" /v1/status
  [[ $status == 200 ]] || return 1
  refresher=$(field refresher)
  [[ -n $refresher && $refresher != null ]]
}

# Every node in NODES must still answer; a read that fails is counted, not forgiven.
still_reads() {
  local node
  for node in "${nodes[@]}"; do
    reads "$node" || die "$node stopped serving: $status ${body:0:200}"
    served=$((served + 1))
  done
}

# another_than OLD succeeds when every one of the nodes names one and the same other refresher.
another_than() {
  local node name=''
  still_reads
  for node in "${nodes[@]}"; do
    refresher_seen_by "$node" || return 1
    [[ $refresher != "$1" ]] || return 1
    name=${name:-$refresher}
    [[ $refresher == "$name" ]] || return 1
  done
}

# stale NODE: serves, is ready, and says that it is stale.
stale() {
  reads "$1" || die "$1 stopped serving while cut off: $status ${body:0:200}"
  served=$((served + 1))
  local age
  age=$(header Freshet-Watch-Age)
  age=${age%%.*}
  [[ -n $age ]] || die "$1 sends no Freshet-Watch-Age"
  ((age > oldest)) && oldest=$age
  call "$1" /readyz
  [[ $status == 200 ]] || die "$1 is not ready while it can serve: $status ${body:0:200}"
  call "$1" '/readyz?fresh'
  ((oldest >= 5)) && [[ $status == 503 ]]
}

# fresh NODE: hears from etcd again.
fresh() {
  local age
  call "$1" '/readyz?fresh'
  [[ $status == 200 ]] || return 1
  reads "$1" || return 1
  age=$(header Freshet-Watch-Age)
  age=${age%%.*}
  [[ -n $age ]] && ((age < 5))
}

prepare() {
  command -v curl >/dev/null || die "curl is needed"
  docker info >/dev/null 2>&1 || die "no Docker engine answers"
  if [[ -z ${FRESHET_IMAGE:-} || -z ${ETCD_IMAGE:-} ]]; then
    export FRESHET_IMAGE=freshet:$project ETCD_IMAGE=freshet-etcd:$project
    built="$FRESHET_IMAGE $ETCD_IMAGE"
    bash deploy/standin.sh
  fi
  say "images: $FRESHET_IMAGE, $ETCD_IMAGE"
}

start() {
  compose up -d --no-build etcd1 etcd2 etcd3 sandbox node1 node2 node3 >"$work/up" 2>&1 || { cat "$work/up"; die "compose up"; }
  say "started"
  local node
  for node in node1 node2 node3; do await 120 "$node serves a token" reads "$node"; done
  await 30 "all three serve one version" same_version node1 node2 node3
  say "version $version everywhere"
}

kill_the_refresher() {
  local dead node
  await 30 "node1 knows the refresher" refresher_seen_by node1
  dead=$refresher
  case $dead in node[123]) ;; *) die "the refresher is called '$dead', not node1, node2 or node3" ;; esac
  nodes=() served=0
  for node in node1 node2 node3; do [[ $node == "$dead" ]] || nodes+=("$node"); done
  compose kill -s KILL "$dead" >/dev/null 2>&1
  say "killed $dead, the refresher"
  await 60 "another refresher" another_than "$dead"
  say "$refresher took over; $served reads in between, all answered"
  compose up -d --no-build --no-deps "$dead" >/dev/null 2>&1
  await 60 "$dead is back and serves" reads "$dead"
  await 30 "all three serve one version" same_version node1 node2 node3
}

cut_one_off() {
  local node container before
  refresher_seen_by node1 || true
  node=node1
  [[ $refresher == node1 ]] && node=node2
  container=$(compose ps -q "$node")
  docker network disconnect "${project}_etcd" "$container"
  say "cut $node off from etcd"
  nodes=("$node") served=0 oldest=0
  await 90 "$node serves, is ready, and says it is stale" stale "$node"
  before=$oldest
  sleep 3
  stale "$node" || die "$node no longer says it is stale"
  ((oldest > before)) || die "the watch age of $node stands still at $before s"
  say "$served reads while cut off, all answered; watch age $oldest s and growing"
  docker network connect --alias "$node" "${project}_etcd" "$container"
  await 60 "$node hears from etcd again" fresh "$node"
  await 30 "all three serve one version" same_version node1 node2 node3
}

status='' body='' version='' refresher='' served=0 oldest=0 nodes=()
prepare
start
kill_the_refresher
cut_one_off
say "compose test passed"
