#!/usr/bin/env bash
# Tries the server with requests that schemathesis makes from its OpenAPI description: as everybody, and as an
# administrator. Installs schemathesis from PyPI into target/ if it is not there. HOSTEL names the program; by default it
# is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
examples=${EXAMPLES:-30}

if [[ -z ${HOSTEL:-} ]]; then
    cargo build --quiet -p hostel-cli
    HOSTEL=target/debug/hostel
fi
HOSTEL=$(realpath "$HOSTEL")
tool=$(command -v schemathesis || true)
if [[ -z $tool ]]; then
    tool=$PWD/target/schemathesis/bin/schemathesis
    [[ -x $tool ]] || {
        python3 -m venv target/schemathesis
        target/schemathesis/bin/pip install --quiet 'schemathesis>=4,<5'
    }
fi

files=$(mktemp -d)
server=""
end() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    rm -rf "$files"
}
trap end EXIT
mkdir "$files/plugins"
cp guests/prebuilt/{customize,add,greet}.wasm server/tests/suite/kit.wasm "$files/plugins"
made=$("$HOSTEL" token)
token=$(sed -n 's/^token:  //p' <<<"$made")
cat >"$files/hostel.toml" <<END
[server]
anonymous = true
[defaults]
grants = ["log", "config"]
[token.root]
role = "admin"
sha256 = "$(sed -n 's/^sha256: //p' <<<"$made")"
END
"$HOSTEL" serve "$files/plugins" --config "$files/hostel.toml" --listen 127.0.0.1:0 2>"$files/log" &
server=$!
for _ in {1..100}; do
    address=$(sed -n 's|.*on \(http://[0-9.:]*\): .*|\1|p' "$files/log")
    [[ -z $address ]] || break
    sleep 0.1
done
[[ -n $address ]] || { cat "$files/log" >&2; exit 1; }

# `not_a_server_error` too: plugins that fail answer with 502, and these don't fail.
try() {
    # It writes its cache where it runs.
    local document=$1
    shift
    (cd "$files" && "$tool" run "$address$document" --checks all --max-examples "$examples" --seed 1 --no-color "$@")
}
# Authentication is tested elsewhere: a server that takes calls of everybody ignores what is missing.
# The log has no end, and a client that reads it whole would wait for one.
general=(/openapi.json --exclude-path /v1/logs)
try "${general[@]}" --exclude-checks ignored_auth
# A component's functions by their types. Of these, `spin` and `trap` fail as they are meant to.
try /v1/openapi/kit --exclude-checks ignored_auth --exclude-path-regex '/(spin|trap)$'
# No description tells which bytes are a module.
try "${general[@]}" --exclude-checks ignored_auth,positive_data_acceptance --header "Authorization: Bearer $token"
if grep -q panicked "$files/log"; then
    cat "$files/log" >&2
    exit 1
fi
curl --fail --silent --data x "$address/v1/plugins/customize" >/dev/null || {
    # The administrator's requests may have removed it: the server itself must answer.
    curl --fail --silent "$address/healthz" >/dev/null
}
