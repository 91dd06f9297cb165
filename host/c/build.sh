#!/bin/sh
# Builds the host and its conformance runner: ./build.sh [FLAG…], FLAGs being further ones for the compiler.
#
# Takes a C11 compiler, python3 with pip, and cargo; Linux. The rest comes from the package registries, once, into
# fetched/:
# - libwasmtime, from the wheel of the Python package `wasmtime` (the library alone: a wheel carries no headers);
# - its headers, from the crate of the same version;
# - yyjson, which reads the conformance cases, from a crate as well. The host itself does without it.
set -eu
cd "$(dirname "$0")"

wasmtime=50.0.1 # of library and headers: the two must match, for the headers describe the library's structs
yyjson=0.1.0    # of the crate; it carries yyjson 0.10.0

# Where cargo unpacks a crate. `cargo info` downloads one without the crates that it depends on.
crate() {
    # From the top, so that it is about the registry and not about the package whose folder this is.
    (cd / && cargo info --quiet --registry crates-io "$1@$2" >/dev/null)
    find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -mindepth 2 -maxdepth 2 -name "$1-$2" | head -n 1
}

fetch() {
    rm -rf fetched fetching # what an earlier version or an interrupted run left
    mkdir fetching
    python3 -m pip download --quiet --no-deps --only-binary :all: --dest fetching "wasmtime==$wasmtime"
    python3 -m zipfile -e fetching/wasmtime-*.whl fetching/wheel
    mv fetching/wheel/wasmtime/linux-*/_libwasmtime.so fetching/libwasmtime.so

    headers=$(crate wasmtime-c-api-impl "$wasmtime")
    cp -R "$headers/include" fetching/include
    # Wasmtime's CMake files write this header. It says what is declared: what a build has where nobody turns it off.
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
# -isystem: warnings are about this folder's code. $ORIGIN: the program finds the library wherever this folder is moved.
# shellcheck disable=SC2086 # CC may hold flags
${CC:-cc} -std=c11 -Wall -Wextra -O2 -g "$@" -isystem fetched/include -isystem fetched \
    conformance.c host.c build/yyjson.o -o build/conformance \
    -Lfetched -lwasmtime -pthread '-Wl,-rpath,$ORIGIN/../fetched'
