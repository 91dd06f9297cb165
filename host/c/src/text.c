#include "text.h"

#include <string.h>

dl_string dl_string_from(const char *text)
{
    return (dl_string){text, text == NULL ? 0 : strlen(text)};
}

/* The number of bytes of the character at the start of the text, or 0 if it is not UTF-8. */
static size_t character_bytes(const unsigned char *at, size_t left)
{
    size_t bytes = at[0] < 0x80 ? 1 : at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : at[0] < 0xF5 ? 4 : 0;
    if (bytes == 0 || bytes > left)
        return 0;
    for (size_t i = 1; i < bytes; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    bool is_overlong = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xF0 && at[1] < 0x90);
    bool is_surrogate = at[0] == 0xED && at[1] > 0x9F;
    bool is_above_unicode = at[0] == 0xF4 && at[1] > 0x8F;
    return is_overlong || is_surrogate || is_above_unicode ? 0 : bytes;
}

size_t dl_valid_utf8_bytes(dl_string text)
{
    size_t valid = 0, bytes;
    while (valid < text.size &&
           (bytes = character_bytes((const unsigned char *)text.data + valid, text.size - valid)) != 0)
        valid += bytes;
    return valid;
}

bool dl_has_control_characters(dl_string text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        unsigned char next = i + 1 < text.size ? (unsigned char)text.data[i + 1] : 0;
        if (byte < 0x20 || byte == 0x7F || (byte == 0xC2 && next < 0xA0))
            return true;
    }
    return false;
}

bool dl_strings_equal(dl_string a, dl_string b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void dl_copy_text(char *to, size_t capacity, dl_string text)
{
    if (text.size >= capacity) {
        text.size = capacity - 1;
        text.size = dl_valid_utf8_bytes(text);
    }
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    to[text.size] = '\0';
}
