/* Checks of text. */
#ifndef DL_TEXT_H
#define DL_TEXT_H

#include "delete_learning.h"

/* The number of bytes from the start that are valid UTF-8. The C API aborts the process on text that is not UTF-8. */
size_t dl_valid_utf8_bytes(dl_string text);
/* Whether it contains control characters of Unicode: C0, DEL or C1. */
bool dl_has_control_characters(dl_string text);
bool dl_strings_equal(dl_string a, dl_string b);
/* Copies text into a buffer, with a terminating NUL. Truncates to the buffer at a character boundary. */
void dl_copy_text(char *to, size_t capacity, dl_string text);

#endif
