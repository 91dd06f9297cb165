#!/bin/sh
# Builds the host and its conformance runner: ./build.sh [COMPILER-FLAG…]
#
# Requires Linux, a C11 compiler, python3 with pip, and cargo. Downloads the following from the package registries to
# fetched/, once:
# - libwasmtime, from the wheel of the Python package `wasmtime`, which has no headers;
# - its headers, from the crate `wasmtime-c-api-impl` of the same version;
# - yyjson, from the crate `yyjson-sys`. Only the conformance runner uses it, to parse the cases.
set -eu
cd "$(dirname "$0")"

# The library and the headers must have the same version, because the headers define the structs of the library.
wasmtime=50.0.1
yyjson=0.1.0    # the crate's version; it contains yyjson 0.10.0

# Downloads a crate and prints its directory. `cargo info` downloads a crate without its dependencies.
crate() {
    # In /, so that cargo uses the registry and not the workspace of this directory.
    (cd / && cargo info --quiet --registry crates-io "$1@$2" >/dev/null)
    find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -mindepth 2 -maxdepth 2 -name "$1-$2" | head -n 1
}

fetch() {
    rm -rf fetched fetching # remains of another version or an interrupted run
    mkdir fetching
    python3 -m pip download --quiet --no-deps --only-binary :all: --dest fetching "wasmtime==$wasmtime"
    python3 -m zipfile -e fetching/wasmtime-*.whl fetching/wheel
    mv fetching/wheel/wasmtime/linux-*/_libwasmtime.so fetching/libwasmtime.so

    headers=$(crate wasmtime-c-api-impl "$wasmtime")
    cp -R "$headers/include" fetching/include
    # Wasmtime's CMake files generate this header. It enables declarations; these are the features of a default build.
    sed -e '/DISABLE_LOGGING/d' -e '/ALL_ARCH/d' -e 's/#cmakedefine/#define/' \
        "$headers/include/wasmtime/conf.h.in" >fetching/include/wasmtime/conf.h

    json=$(crate yyjson-sys "$yyjson")
    cp "$json"/yyjson/src/yyjson.[ch] fetching/

    rm -rf fetching/wheel fetching/*.whl
    echo "$wasmtime $yyjson" >fetching/versions
    mv fetching fetched
}

if [ "$(cat fetched/versions 2>/dev/null)" != "$wasmtime $yyjson" ]; then
    fetch
fi

mkdir -p build
if [ ! -e build/yyjson.o ] || [ fetched/yyjson.c -nt build/yyjson.o ]; then
    ${CC:-cc} -O2 -c fetched/yyjson.c -o build/yyjson.o
fi
# -isystem limits warnings to the code of this directory. $ORIGIN lets this directory be moved.
# shellcheck disable=SC2086 # CC can contain flags
${CC:-cc} -std=c11 -Wall -Wextra -O2 -g "$@" -isystem fetched/include -isystem fetched \
    conformance.c host.c build/yyjson.o -o build/conformance \
    -Lfetched -lwasmtime -pthread '-Wl,-rpath,$ORIGIN/../fetched'
