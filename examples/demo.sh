#!/bin/sh
# What `make demo` runs: a fake Google and the proxy on loopback, one streamed answer, then both stay up until Ctrl-C.
set -eu
binaries=${BINARIES:-target/release}
google_port=${GOOGLE_PORT:-9090}
port=${PORT:-8888}
work=$(mktemp -d)
google= proxy=
end() {
    kill $proxy $google 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT
trap 'exit 0' INT TERM

cat > "$work/config.json" <<JSON
{
  "server": {"host": "127.0.0.1", "port": $port},
  "auth_keys": ["sk-demo"],
  "credentials_file": "$work/credentials.json",
  "gemini_api_keys": ["demo-key"],
  "log_level": "warning",
  "endpoints": {
    "code_assist": "http://127.0.0.1:$google_port",
    "oauth_token": "http://127.0.0.1:$google_port/token",
    "userinfo": "http://127.0.0.1:$google_port/v1/userinfo",
    "generative_language": "http://127.0.0.1:$google_port"
  }
}
JSON

answers() { # port path
    if command -v curl >/dev/null; then
        curl -fsS -o /dev/null "http://127.0.0.1:$1$2" 2>/dev/null
    else
        python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$1$2')" 2>/dev/null
    fi
}

in_use() { # port
    echo "demo: port $1 is in use, maybe by another demo. Choose others with PORT= and GOOGLE_PORT=." >&2
    exit 1
}
# Else the one that answers would be taken for ours.
if answers "$google_port" "/v1beta/models?key=demo-key"; then in_use "$google_port"; fi
if answers "$port" /health; then in_use "$port"; fi

wait_for() { # process port path name
    tries=0
    until answers "$2" "$3"; do
        tries=$((tries + 1))
        if ! kill -0 "$1" 2>/dev/null || [ "$tries" -gt 100 ]; then
            echo "demo: $4 did not start; is port $2 in use? Choose others with PORT= and GOOGLE_PORT=." >&2
            exit 1
        fi
        sleep 0.1
    done
}

"$binaries/examples/fake_google" --port "$google_port" --api-key demo-key > "$work/google.log" 2>&1 &
google=$!
wait_for "$google" "$google_port" "/v1beta/models?key=demo-key" "the fake Google"
"$binaries/gemini-openai-proxy" run -c "$work/config.json" &
proxy=$!
wait_for "$proxy" "$port" /health "the proxy"

request='{"model":"gemini-3.8-flash","stream":true,"messages":[{"role":"user","content":"Say hello"}]}'
echo "curl -N http://127.0.0.1:$port/v1/chat/completions -H 'Authorization: Bearer sk-demo' -d '$request'"
echo
if command -v curl >/dev/null; then
    curl -fsSN "http://127.0.0.1:$port/v1/chat/completions" -H 'Authorization: Bearer sk-demo' -d "$request"
else
    python3 - "$port" "$request" <<'PYTHON'
import sys, urllib.request
request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/v1/chat/completions", sys.argv[2].encode(),
                                 {"Authorization": "Bearer sk-demo", "Content-Type": "application/json"})
for line in urllib.request.urlopen(request):
    print(line.decode(), end="", flush=True)
PYTHON
fi
echo "The proxy stays up at http://127.0.0.1:$port (page and API); end it with Ctrl-C."
wait "$proxy"
