/* Names against patterns (twin of uptane/verify/patterns.py): at most the product of both lengths in steps. */
#include "patterns.h"

bool fw_accepts(const fw_filename *rule, const fw_filename *name)
{
    uint8_t at = 0, position = 0;
    int star = -1; /* the latest `*`, and where what it stands for ends: on a mismatch it takes one character more */
    uint8_t taken = 0;
    if (rule->length == 2 && rule->text[0] == '*' && rule->text[1] == '*') {
        return true;
    }
    while (position < name->length) {
        char wanted = at < rule->length ? rule->text[at] : '\0';
        bool is_slash = name->text[position] == '/';
        if (wanted == '*') {
            star = at++;
            taken = position;
        } else if (wanted == name->text[position] || (wanted == '?' && !is_slash)) {
            star = is_slash ? -1 : star; /* no `*` reaches into the next part */
            at++;
            position++;
        } else if (star >= 0 && name->text[taken] != '/') {
            at = (uint8_t)(star + 1);
            position = ++taken;
        } else {
            return false;
        }
    }
    while (at < rule->length && rule->text[at] == '*') {
        at++;
    }
    return at == rule->length;
}
