#!/usr/bin/env bash
# Packs the package, installs it in an empty directory, and runs there the README's examples, the tests and the
# conformance cases. On the Node that is installed, and on a later one that has JSPI.
#
#   ./test.sh [--this-node] [--install DIRECTORY]
#
#   --this-node            only on the Node that is installed
#   --install DIRECTORY    afterwards installs the package in this directory
set -euo pipefail
this_node=false target=
while [ $# -gt 0 ]; do
    case $1 in
        --this-node) this_node=true ;;
        --install) mkdir -p "$2" && target=$(cd "$2" && pwd) && shift ;;
        *) echo "unknown argument: $1" >&2 && exit 1 ;;
    esac
    shift
done
cd "$(dirname "$0")"
export REPOSITORY
REPOSITORY=$(cd ../.. && pwd)
# The components of the tests are in the text format of an earlier version.
export WAST_STRICT_COMPONENT_INDICES=0

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
package=$directory/$(npm pack --silent --pack-destination "$directory")
echo "the package has $(stat -c %s "$package") bytes"

nodes=(node)
if ! $this_node; then
    later=$REPOSITORY/target/node
    [ -x "$later/node_modules/node/bin/node" ] || npm install --silent --no-fund --no-audit --prefix "$later" node@26.10.0
    nodes+=("$later/node_modules/node/bin/node")
fi

# An empty directory with nothing but the package.
mkdir "$directory/app"
cd "$directory/app"
echo '{ "private": true }' >package.json
npm install --silent --no-fund --no-audit --offline "$package"
installed=$(find node_modules -mindepth 1 -maxdepth 1 -not -name '.*' | wc -l)
[ "$installed" = 1 ] || { echo "the package installs $installed packages instead of 1" >&2; exit 1; }

# The README's blocks in `js`. The first line of each is the name of the file.
awk '/^```js$/ { inside = 1; next } /^```$/ { inside = 0; file = "" }
     inside && !file { file = $2 } inside { print > file }' "$REPOSITORY/host/node/README.md"
for node in "${nodes[@]}"; do
    echo "-- $("$node" --version): the README's examples"
    for example in app.mjs=deleted app.cjs=401; do
        output=$("$node" "${example%=*}")
        [ "$output" = "${example#*=}" ] || { echo "${example%=*} printed: $output" >&2; exit 1; }
    done
done

# What the tests need in addition comes from this directory.
modules=$REPOSITORY/host/node/node_modules
mkdir -p node_modules/@bytecodealliance node_modules/@types
for name in express fastify pg typescript @bytecodealliance/jco-transpile @types/express @types/node; do
    ln -s "$modules/$name" "node_modules/$name"
done
cp -r "$REPOSITORY/host/node/test" .

echo "-- types"
node node_modules/typescript/bin/tsc --noEmit --strict --exactOptionalPropertyTypes --target es2022 --module nodenext \
    --types node test/types/module.mts test/types/common.cts

echo "-- the command"
for guard in legal-hold retention; do
    cp "$REPOSITORY/guest/examples/$guard/component/$guard.wasm" .
    npx --offline delete-learning transpile "$guard.wasm" -o "$guard"
done

for node in "${nodes[@]}"; do
    port=$((20000 + RANDOM % 10000))
    echo "-- $("$node" --version): the README's server"
    PORT=$port "$node" server.mjs &
    server=$!
    status=$(PORT=$port "$node" --input-type=module -e '
        const url = `http://127.0.0.1:${process.env.PORT}/learnings/user_memory_7`;
        const headers = { authorization: "Bearer secret" };
        for (let attempt = 0; ; attempt += 1) {
            const response = await fetch(url, { method: "DELETE", headers }).catch(() => undefined);
            if (response) { console.log(response.status); break; }
            if (attempt === 100) throw new Error("the server does not start");
            await new Promise((resolve) => setTimeout(resolve, 200));
        }')
    kill "$server"
    [ "$status" = 204 ] || { echo "the server answered $status" >&2; exit 1; }

    echo "-- $("$node" --version): tests"
    "$node" --test --test-reporter dot test/*.test.mjs
    "$node" "$REPOSITORY/host/node/conformance.mjs"
    "$node" "$REPOSITORY/host/node/conformance.mjs" --guard legal-hold=legal-hold --guard retention=retention
done

if [ -n "$target" ]; then
    cd "$target"
    echo '{ "private": true }' >package.json
    npm install --silent --no-fund --no-audit --offline "$package"
fi
