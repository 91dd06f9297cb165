#define _POSIX_C_SOURCE 200809L

#include "access.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char *copy_string(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    if (copy == NULL)
        abort();
    return strcpy(copy, text);
}

static bool is_utf8(const char *text)
{
    return dl_valid_utf8_bytes(dl_string_from(text)) == strlen(text);
}

bool dl_copy_access(struct access *to, const dl_access *from, char *reason, size_t reason_size)
{
    *to = (struct access){.wall_clock = from->wall_clock};
    to->settings = calloc(from->setting_count + 1, sizeof *to->settings);
    if (to->settings == NULL)
        abort();
    for (size_t i = 0; i < from->setting_count; i++) {
        const dl_setting *setting = &from->settings[i];
        if (setting->key == NULL || setting->value == NULL || !is_utf8(setting->key) || !is_utf8(setting->value)) {
            snprintf(reason, reason_size, "the key or the value of setting %zu is NULL or not UTF-8", i);
            return false;
        }
        to->settings[to->setting_count++] = (dl_setting){copy_string(setting->key), copy_string(setting->value)};
    }
    return true;
}

void dl_delete_access(struct access *access)
{
    for (size_t i = 0; i < access->setting_count; i++) {
        free((char *)access->settings[i].key);
        free((char *)access->settings[i].value);
    }
    free(access->settings);
}

static value text_value(const char *text)
{
    return dl_string_value(dl_string_from(text));
}

static value setting_value(const struct access *access, dl_string key)
{
    for (size_t i = 0; i < access->setting_count; i++)
        if (dl_strings_equal(dl_string_from(access->settings[i].key), key))
            return dl_some(text_value(access->settings[i].value));
    return dl_none();
}

static value all_settings(const struct access *access)
{
    value list = dl_list(NULL, 0);
    if (access->setting_count > 0)
        wasmtime_component_vallist_new_uninit(&list.of.list, access->setting_count);
    for (size_t i = 0; i < access->setting_count; i++) {
        value pair[] = {text_value(access->settings[i].key), text_value(access->settings[i].value)};
        value tuple = {.kind = WASMTIME_COMPONENT_TUPLE};
        wasmtime_component_valtuple_new(&tuple.of.tuple, 2, pair);
        list.of.list.data[i] = tuple;
    }
    return list;
}

static value datetime(struct timespec time)
{
    value seconds = {.kind = WASMTIME_COMPONENT_U64, .of.u64 = (uint64_t)time.tv_sec};
    value nanoseconds = {.kind = WASMTIME_COMPONENT_U32, .of.u32 = (uint32_t)time.tv_nsec};
    return DL_RECORD_OF(dl_field("seconds", seconds), dl_field("nanoseconds", nanoseconds));
}

value dl_wasi_result(const struct access *access, const struct function *function, dl_string argument)
{
    struct timespec time = {0};
    switch (function->id) {
    case CONFIG_GET:
        return dl_ok(setting_value(access, argument));
    case CONFIG_GET_ALL:
        return dl_ok(all_settings(access));
    case CLOCK_NOW:
        clock_gettime(CLOCK_REALTIME, &time);
        return datetime(time);
    default: /* CLOCK_RESOLUTION */
        clock_getres(CLOCK_REALTIME, &time);
        return datetime(time);
    }
}
