#include "contract.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The types of the contract, as `describe` writes them ---- */

#define CREDENTIAL "enum{jwt,service-account,security-key,none}"
#define CALLER                                                                                                         \
    "record{credential:" CREDENTIAL ",subject:option<string>,scopes:list<string>,scopes-optional:bool,"                \
    "all-owners:bool,admin-scope:string}"
#define IDENTITY_ERROR                                                                                                 \
    "record{kind:enum{missing,malformed,invalid,expired,wrong-audience,reserved-subject,not-enabled,rate-limited,"     \
    "unavailable,internal},credential:" CREDENTIAL ",message:string}"
#define STORAGE_ERROR                                                                                                  \
    "record{kind:enum{invalid-learning-id,repeated-parameter,database-required,unknown-database,unknown-table,"        \
    "unsupported,denied,unavailable,outcome-unknown,internal},message:string}"
#define LEARNING                                                                                                       \
    "record{learning-type:string,namespace:option<string>,user-id:option<string>,agent-id:option<string>,"             \
    "team-id:option<string>,workflow-id:option<string>,session-id:option<string>,entity-id:option<string>,"            \
    "entity-type:option<string>,content:string,metadata:option<string>,created-at:s64,updated-at:option<s64>,"         \
    "revision:string}"
#define OUTCOME "enum{absent,unowned,owned-by-another,changed,deleted}"
#define REJECTION                                                                                                      \
    "record{status:u16,code:enum{bad-request,unauthenticated,forbidden,not-found,conflict,too-many-requests,"          \
    "internal-server-error,not-implemented,service-unavailable},detail:string,rule:string}"
#define REQUEST "record{learning-id:string,db-id:option<string>,table:option<string>}"

const struct function dl_functions[FUNCTION_COUNT] = {
    {CURRENT, DL_IDENTITY, "current", "identity.current", "()->result<" CALLER "," IDENTITY_ERROR ">"},
    {LOCATE, DL_STORAGE, "locate", "storage.locate",
     "()->result<record{database:string,table:string}," STORAGE_ERROR ">"},
    {FIND, DL_STORAGE, "find", "storage.find",
     "()->result<record{learning:option<" LEARNING ">}," STORAGE_ERROR ">"},
    {DELETE_ANY, DL_STORAGE, "delete", "storage.delete_any", "()->result<" OUTCOME "," STORAGE_ERROR ">"},
    {DELETE_IF_OWNED_BY, DL_STORAGE, "delete-if-owned-by", "storage.delete_if_owned_by",
     "(user-id:string)->result<" OUTCOME "," STORAGE_ERROR ">"},
    {DELETE_IF_UNCHANGED, DL_STORAGE, "delete-if-unchanged", "storage.delete_if_unchanged",
     "(revision:string)->result<" OUTCOME "," STORAGE_ERROR ">"},
};
#define DATETIME "()->record{seconds:u64,nanoseconds:u32}"
#define CONFIG_ERROR "variant{upstream(string),io(string)}"
const struct function dl_wasi_functions[DL_WASI_FUNCTION_COUNT] = {
    {CONFIG_GET, DL_CONFIG, "get", NULL, "(key:string)->result<option<string>," CONFIG_ERROR ">"},
    {CONFIG_GET_ALL, DL_CONFIG, "get-all", NULL, "()->result<list<tuple<string,string>>," CONFIG_ERROR ">"},
    {CLOCK_NOW, DL_CLOCK, "now", NULL, DATETIME},
    {CLOCK_RESOLUTION, DL_CLOCK, "resolution", NULL, DATETIME},
};
static const char export_type[] = "(request:" REQUEST ")->result<_," REJECTION ">";
static const char types_interface[] = "learnings:plugin/types@0.1.0";

/* ---- Description of a type. Longer descriptions than that of any type of the contract are truncated. ---- */

struct description {
    char text[1024];
    size_t size;
};

static void add(struct description *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(to->text + to->size, sizeof to->text - to->size, format, arguments);
    va_end(arguments);
    to->size += written > 0 ? (size_t)written : 0;
    if (to->size >= sizeof to->text)
        to->size = sizeof to->text - 1;
}

/* Describes a type and deletes it. */
static void describe(struct description *to, wasmtime_component_valtype_t type)
{
    const char *name;
    size_t size;
    bool has_inner;
    wasmtime_component_valtype_t inner;
    bool is_full = to->size == sizeof to->text - 1; /* ends the recursion of a deep type */
    switch (is_full ? WASMTIME_COMPONENT_VALTYPE_FLAGS : type.kind) {
    case WASMTIME_COMPONENT_VALTYPE_BOOL:
        add(to, "bool");
        break;
    case WASMTIME_COMPONENT_VALTYPE_S64:
        add(to, "s64");
        break;
    case WASMTIME_COMPONENT_VALTYPE_U16:
        add(to, "u16");
        break;
    case WASMTIME_COMPONENT_VALTYPE_U32:
        add(to, "u32");
        break;
    case WASMTIME_COMPONENT_VALTYPE_U64:
        add(to, "u64");
        break;
    case WASMTIME_COMPONENT_VALTYPE_STRING:
        add(to, "string");
        break;
    case WASMTIME_COMPONENT_VALTYPE_LIST:
        add(to, "list<");
        wasmtime_component_list_type_element(type.of.list, &inner);
        describe(to, inner);
        add(to, ">");
        break;
    case WASMTIME_COMPONENT_VALTYPE_OPTION:
        add(to, "option<");
        wasmtime_component_option_type_ty(type.of.option, &inner);
        describe(to, inner);
        add(to, ">");
        break;
    case WASMTIME_COMPONENT_VALTYPE_RECORD:
        add(to, "record{");
        for (size_t i = 0; wasmtime_component_record_type_field_nth(type.of.record, i, &name, &size, &inner); i++) {
            add(to, "%s%.*s:", i > 0 ? "," : "", (int)size, name);
            describe(to, inner);
        }
        add(to, "}");
        break;
    case WASMTIME_COMPONENT_VALTYPE_TUPLE:
        add(to, "tuple<");
        for (size_t i = 0; wasmtime_component_tuple_type_types_nth(type.of.tuple, i, &inner); i++) {
            add(to, "%s", i > 0 ? "," : "");
            describe(to, inner);
        }
        add(to, ">");
        break;
    case WASMTIME_COMPONENT_VALTYPE_VARIANT:
        add(to, "variant{");
        for (size_t i = 0;
             wasmtime_component_variant_type_case_nth(type.of.variant, i, &name, &size, &has_inner, &inner); i++) {
            add(to, "%s%.*s", i > 0 ? "," : "", (int)size, name);
            if (has_inner) {
                add(to, "(");
                describe(to, inner);
                add(to, ")");
            }
        }
        add(to, "}");
        break;
    case WASMTIME_COMPONENT_VALTYPE_ENUM:
        add(to, "enum{");
        for (size_t i = 0; wasmtime_component_enum_type_names_nth(type.of.enum_, i, &name, &size); i++)
            add(to, "%s%.*s", i > 0 ? "," : "", (int)size, name);
        add(to, "}");
        break;
    case WASMTIME_COMPONENT_VALTYPE_RESULT:
        add(to, "result<");
        if (wasmtime_component_result_type_ok(type.of.result, &inner))
            describe(to, inner);
        else
            add(to, "_");
        add(to, ",");
        if (wasmtime_component_result_type_err(type.of.result, &inner))
            describe(to, inner);
        else
            add(to, "_");
        add(to, ">");
        break;
    default: /* a kind that the contract does not use */
        add(to, "?%u", type.kind);
    }
    wasmtime_component_valtype_delete(&type);
}

static bool function_has_type(const wasmtime_component_func_type_t *function, const char *expected)
{
    struct description found = {.size = 0};
    const char *name;
    size_t size;
    wasmtime_component_valtype_t type;
    add(&found, "%s(", wasmtime_component_func_type_async(function) ? "async" : "");
    for (size_t i = 0; wasmtime_component_func_type_param_nth(function, i, &name, &size, &type); i++) {
        add(&found, "%s%.*s:", i > 0 ? "," : "", (int)size, name);
        describe(&found, type);
    }
    add(&found, ")->");
    if (wasmtime_component_func_type_result(function, &type))
        describe(&found, type);
    return strcmp(found.text, expected) == 0;
}

/* ---- Imports and exports ---- */

struct check {
    const wasm_engine_t *engine;
    bool has_wall_clock;
    char *reason;
    size_t reason_size;
};

static bool mismatch(const struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->reason, check->reason_size, format, arguments);
    va_end(arguments);
    return false;
}

/* Moves the item out of an extern. */
static wasmtime_component_item_t item_of(wasmtime_component_extern_t *external)
{
    wasmtime_component_item_t item;
    wasmtime_component_extern_type(external, &item);
    wasmtime_component_extern_delete(external);
    return item;
}

static const struct function *find_function(const char *interface, dl_string name)
{
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        if (strcmp(dl_functions[i].interface, interface) == 0 &&
            dl_strings_equal(dl_string_from(dl_functions[i].name), name))
            return &dl_functions[i];
    for (size_t i = 0; i < DL_WASI_FUNCTION_COUNT; i++)
        if (strcmp(dl_wasi_functions[i].interface, interface) == 0 &&
            dl_strings_equal(dl_string_from(dl_wasi_functions[i].name), name))
            return &dl_wasi_functions[i];
    return NULL;
}

/* Checks an interface that the component imports. It can import a part of it. */
static bool check_import(const struct check *check, const char *interface,
                         const wasmtime_component_instance_type_t *instance)
{
    bool is_valid = true;
    const char *name;
    size_t size;
    wasmtime_component_extern_t *external;
    for (size_t i = 0; is_valid && wasmtime_component_instance_type_export_nth(instance, check->engine, i, &name, &size,
                                                                               &external);
         i++) {
        wasmtime_component_item_t item = item_of(external);
        if (item.kind == WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC) {
            const struct function *function = find_function(interface, (dl_string){name, size});
            if (function == NULL)
                is_valid = mismatch(check, "it imports the function \"%.*s\" of %s, which the contract does not have",
                                    (int)size, name, interface);
            else if (!function_has_type(item.of.component_func, function->type))
                is_valid = mismatch(check, "the function \"%s\" of %s that it imports has another type",
                                    function->name, interface);
        } else if (item.kind != WASMTIME_COMPONENT_ITEM_TYPE) {
            is_valid = mismatch(check, "it imports \"%.*s\" of %s, which the contract does not have", (int)size, name,
                                interface);
        }
        wasmtime_component_item_delete(&item);
    }
    return is_valid;
}

/* The interface that a component imports by this name, as this library names it. NULL if it is not provided. */
static const char *find_interface(dl_string name)
{
    const char *const interfaces[] = {DL_IDENTITY, DL_STORAGE, types_interface, DL_CONFIG};
    for (size_t i = 0; i < sizeof interfaces / sizeof *interfaces; i++)
        if (dl_strings_equal(name, dl_string_from(interfaces[i])))
            return interfaces[i];
    /* Every version 0.2 of WASI is compatible. */
    size_t prefix = strlen(DL_CLOCK) - 1;
    return name.size > prefix && memcmp(name.data, DL_CLOCK, prefix) == 0 ? DL_CLOCK : NULL;
}

static bool check_imports(const struct check *check, const wasmtime_component_type_t *type)
{
    bool is_valid = true;
    const char *name;
    size_t size;
    wasmtime_component_extern_t *external;
    for (size_t i = 0; is_valid && wasmtime_component_type_import_nth(type, check->engine, i, &name, &size, &external);
         i++) {
        wasmtime_component_item_t item = item_of(external);
        const char *interface = find_interface((dl_string){name, size});
        if (interface == NULL || item.kind != WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE)
            is_valid = mismatch(check,
                                "it imports \"%.*s\"; a component can import only %s, %s, %s, and %s if it is granted",
                                (int)size, name, DL_IDENTITY, DL_STORAGE, DL_CONFIG, DL_CLOCK);
        else if (strcmp(interface, DL_CLOCK) == 0 && !check->has_wall_clock)
            is_valid = mismatch(check, "it imports \"%.*s\", which is not granted: set `wall_clock` in its access",
                                (int)size, name);
        else
            is_valid = check_import(check, interface, item.of.component_instance);
        wasmtime_component_item_delete(&item);
    }
    return is_valid;
}

static bool check_guard_export(const struct check *check, const wasmtime_component_instance_type_t *instance)
{
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        const struct function *function = &dl_functions[i];
        if (function->id == CURRENT)
            continue;
        wasmtime_component_extern_t *external;
        if (!wasmtime_component_instance_type_export_get(instance, check->engine, function->name,
                                                         strlen(function->name), &external))
            return mismatch(check, "its storage has no function \"%s\"", function->name);
        wasmtime_component_item_t item = item_of(external);
        bool is_valid = item.kind == WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC &&
                        function_has_type(item.of.component_func, function->type);
        wasmtime_component_item_delete(&item);
        if (!is_valid)
            return mismatch(check, "the function \"%s\" of its storage has another type", function->name);
    }
    return true;
}

static bool check_exports(const struct check *check, const wasmtime_component_type_t *type, bool is_guard)
{
    const char *expected = is_guard ? DL_STORAGE : DL_EXPORT, *other = is_guard ? DL_EXPORT : DL_STORAGE;
    wasmtime_component_extern_t *external;
    if (!wasmtime_component_type_export_get(type, check->engine, expected, strlen(expected), &external)) {
        if (!wasmtime_component_type_export_get(type, check->engine, other, strlen(other), &external))
            return mismatch(check, "it does not export \"%s\"", expected);
        wasmtime_component_extern_delete(external);
        return mismatch(check, is_guard ? "it is a policy, not a guard" : "it is a guard, not a policy");
    }
    wasmtime_component_item_t item = item_of(external);
    bool is_valid;
    if (is_guard)
        is_valid = item.kind == WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE
                       ? check_guard_export(check, item.of.component_instance)
                       : mismatch(check, "its export \"%s\" is not an interface", expected);
    else
        is_valid = (item.kind == WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC &&
                    function_has_type(item.of.component_func, export_type)) ||
                   mismatch(check, "its export \"%s\" is not the function of the contract", expected);
    wasmtime_component_item_delete(&item);
    return is_valid;
}

bool dl_check_component(const wasm_engine_t *engine, const wasmtime_component_t *component, bool is_guard,
                        bool has_wall_clock, char *reason, size_t reason_size)
{
    struct check check = {engine, has_wall_clock, reason, reason_size};
    wasmtime_component_type_t *type = wasmtime_component_type(component);
    bool is_valid = check_imports(&check, type) && check_exports(&check, type, is_guard);
    wasmtime_component_type_delete(type);
    return is_valid;
}
