#!/usr/bin/env bash
# Builds the images of docker-compose.yml where no image registry can be reached:
# the binaries are compiled here and packed FROM scratch. etcd is built from the
# source pinned in .ci/etcd.mod.
#
#   bash deploy/standin.sh
#
# FRESHET_IMAGE, ETCD_IMAGE  tags; by default those in deploy/compose/standin.env
# FRESHET_BIN                a static freshet that is already built
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

freshet_image=${FRESHET_IMAGE:-freshet:local}
etcd_image=${ETCD_IMAGE:-freshet-etcd:local}
export CGO_ENABLED=0 # static: there is no libc in an empty image

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context/freshet/data/seal" "$context/etcd"

# Without -trimpath, unlike the Dockerfile: the packages compiled by tests serve here too.
if [[ -n ${FRESHET_BIN:-} ]]; then
  cp "$FRESHET_BIN" "$context/freshet/freshet"
else
  go build -ldflags='-s -w' -o "$context/freshet/freshet" ./cmd/freshet
fi
cp "$(go tool -modfile=.ci/etcd.mod -n server)" "$context/etcd/etcd"

# Certificates of the host, for upstreams with TLS; none is no reason to stop.
certificates=$context/freshet/ca-certificates.crt
cat /etc/ssl/certs/ca-certificates.crt >"$certificates" 2>/dev/null || : >"$certificates"

cat >"$context/freshet/Dockerfile" <<'END'
FROM scratch
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY freshet /usr/local/bin/freshet
COPY --chown=65532:65532 data /var/lib/freshet
USER 65532:65532
EXPOSE 7480 7481
ENTRYPOINT ["/usr/local/bin/freshet"]
END
cat >"$context/etcd/Dockerfile" <<'END'
FROM scratch
COPY etcd /usr/local/bin/etcd
EXPOSE 2379 2380
CMD ["/usr/local/bin/etcd"]
END

pack() {
  docker build -q -t "$1" "$2" >"$context/log" 2>&1 || { cat "$context/log"; return 1; }
  echo "built $1"
}
pack "$freshet_image" "$context/freshet"
pack "$etcd_image" "$context/etcd"
