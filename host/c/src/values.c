#include "values.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>

value dl_empty_value(void)
{
    return dl_boolean(false);
}

value dl_boolean(bool is_true)
{
    return (value){.kind = WASMTIME_COMPONENT_BOOL, .of.boolean = is_true};
}

value dl_integer(int64_t number)
{
    return (value){.kind = WASMTIME_COMPONENT_S64, .of.s64 = number};
}

value dl_string_value(dl_string text)
{
    value string = {.kind = WASMTIME_COMPONENT_STRING};
    wasm_byte_vec_new(&string.of.string, text.size, text.data);
    return string;
}

value dl_enum_value(const char *name)
{
    value result = {.kind = WASMTIME_COMPONENT_ENUM};
    wasm_byte_vec_new(&result.of.enumeration, strlen(name), name);
    return result;
}

value dl_none(void)
{
    return (value){.kind = WASMTIME_COMPONENT_OPTION};
}

value dl_some(value inner)
{
    return (value){.kind = WASMTIME_COMPONENT_OPTION, .of.option = wasmtime_component_val_new(&inner)};
}

value dl_list(const value *elements, size_t count)
{
    value list = {.kind = WASMTIME_COMPONENT_LIST};
    wasmtime_component_vallist_new(&list.of.list, count, elements);
    return list;
}

field dl_field(const char *name, value inner)
{
    field entry = {.val = inner};
    wasm_byte_vec_new(&entry.name, strlen(name), name);
    return entry;
}

value dl_record_value(const field *fields, size_t count)
{
    value record = {.kind = WASMTIME_COMPONENT_RECORD};
    wasmtime_component_valrecord_new(&record.of.record, count, fields);
    return record;
}

static value result_of(bool is_ok, value inner)
{
    return (value){
        .kind = WASMTIME_COMPONENT_RESULT,
        .of.result = {.is_ok = is_ok, .val = wasmtime_component_val_new(&inner)},
    };
}

value dl_ok(value inner)
{
    return result_of(true, inner);
}

value dl_error(value inner)
{
    return result_of(false, inner);
}

void dl_delete_value(value *value)
{
    wasmtime_component_val_delete(value);
    *value = dl_empty_value();
}

bool dl_values_equal(const value *a, const value *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case WASMTIME_COMPONENT_STRING:
        return dl_strings_equal(dl_text_of(a), dl_text_of(b));
    case WASMTIME_COMPONENT_S64:
        return a->of.s64 == b->of.s64;
    case WASMTIME_COMPONENT_OPTION:
        if (a->of.option == NULL || b->of.option == NULL)
            return a->of.option == b->of.option;
        return dl_values_equal(a->of.option, b->of.option);
    case WASMTIME_COMPONENT_RECORD:
        if (a->of.record.size != b->of.record.size)
            return false;
        for (size_t i = 0; i < a->of.record.size; i++)
            if (!dl_values_equal(dl_field_of(a, i), dl_field_of(b, i)))
                return false;
        return true;
    default:
        abort(); /* no result of `find` and `locate` contains another kind */
    }
}

dl_string dl_text_of(const value *value)
{
    if (value->kind == WASMTIME_COMPONENT_OPTION) {
        if (value->of.option == NULL)
            return (dl_string){0};
        value = value->of.option;
    }
    const wasm_name_t *text =
        value->kind == WASMTIME_COMPONENT_ENUM ? &value->of.enumeration : &value->of.string;
    /* An empty vector has a pointer that must not be used. */
    return text->size == 0 ? (dl_string){"", 0} : (dl_string){text->data, text->size};
}

const value *dl_field_of(const value *record, size_t position)
{
    return &record->of.record.data[position].val;
}

unsigned dl_enum_of(const value *value, const char *const names[])
{
    dl_string name = dl_text_of(value);
    for (unsigned i = 1; names[i] != NULL; i++)
        if (dl_strings_equal(name, dl_string_from(names[i])))
            return i;
    abort(); /* The type of the function was checked when the component was loaded. */
}
