/* Assembles components: assemble FILE.wat… writes FILE.wasm beside each. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wasmtime.h>

static void assemble(const char *path)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);

    wasm_byte_vec_t binary;
    wasmtime_error_t *error = wasmtime_wat2wasm(text, size, &binary);
    if (error != NULL) {
        wasm_byte_vec_t message;
        wasmtime_error_message(error, &message);
        fprintf(stderr, "%s: %.*s\n", path, (int)message.size, message.data);
        exit(2);
    }
    char target[4096];
    snprintf(target, sizeof target, "%.*s.wasm", (int)(strlen(path) - strlen(".wat")), path);
    file = fopen(target, "wb");
    if (file == NULL || fwrite(binary.data, 1, binary.size, file) != binary.size || fclose(file) != 0) {
        perror(target);
        exit(2);
    }
    wasm_byte_vec_delete(&binary);
}

int main(int argc, char **argv)
{
    /* The components are written in the syntax that the Rust library's version of the parser accepts. */
    setenv("WAST_STRICT_COMPONENT_INDICES", "0", 1);
    for (int i = 1; i < argc; i++)
        assemble(argv[i]);
    return 0;
}
