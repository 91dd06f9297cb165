/* Values of the component model. A value owns the values in it. */
#ifndef DL_VALUES_H
#define DL_VALUES_H

#include "delete_learning.h"

#include <wasmtime.h>
#include <wasmtime/component.h>

typedef wasmtime_component_val_t value;
typedef wasmtime_component_valrecord_entry_t field;

/* A value that owns nothing. */
value dl_empty_value(void);
value dl_boolean(bool is_true);
value dl_integer(int64_t number);
/* The text must be UTF-8. */
value dl_string_value(dl_string text);
value dl_enum_value(const char *name);
value dl_none(void);
value dl_some(value inner);
value dl_list(const value *elements, size_t count);
field dl_field(const char *name, value inner);
value dl_record_value(const field *fields, size_t count);
/* A record. The fields must be in the contract's order. */
#define DL_RECORD_OF(...) dl_record_value((field[]){__VA_ARGS__}, sizeof((field[]){__VA_ARGS__}) / sizeof(field))
value dl_ok(value inner);
value dl_error(value inner);

/* Deletes the value and makes it empty. */
void dl_delete_value(value *value);
/* Whether two values are equal. They must have the same type: of options, records, texts, and integers. */
bool dl_values_equal(const value *a, const value *b);
/* The text of a string or an enum; none for the none of an option. */
dl_string dl_text_of(const value *value);
/* The field of a record at this position in the contract. */
const value *dl_field_of(const value *record, size_t position);
/* The position of an enum's name in `names`. */
unsigned dl_enum_of(const value *value, const char *const names[]);

#endif
