#include "guard_rules.h"

#include "names.h"
#include "text.h"

#define BIT(number) (1u << (number))

static bool is_delete(const struct function *function)
{
    return function != NULL && function->id >= DELETE_ANY && function->id <= DELETE_IF_UNCHANGED;
}

static unsigned error_kind(const value *result)
{
    return dl_enum_of(dl_field_of(result->of.result.val, 0), dl_storage_error_kind_names);
}

/* The record that was found, or NULL. */
static const value *found_learning(const struct guard_rules *rules)
{
    return rules->has_found ? dl_field_of(&rules->found, 0)->of.option : NULL;
}

static dl_string user_id(const value *learning)
{
    return dl_text_of(dl_field_of(learning, 2));
}

static dl_string revision(const value *learning)
{
    return dl_text_of(dl_field_of(learning, 13));
}

static void forget_found(struct guard_rules *rules)
{
    if (rules->has_found)
        dl_delete_value(&rules->found);
    rules->has_found = rules->found_in_call = false;
}

static void forget_located(struct guard_rules *rules)
{
    if (rules->has_located)
        dl_delete_value(&rules->located);
    rules->has_located = false;
}

void dl_rules_begin(struct guard_rules *rules, const struct function *function, dl_string argument)
{
    forget_located(rules);
    rules->serving = function;
    rules->argument = argument;
    rules->found_in_call = false;
    rules->outcomes = rules->same_outcomes = rules->errors = 0;
}

void dl_rules_delete(struct guard_rules *rules)
{
    forget_located(rules);
    forget_found(rules);
}

void dl_rules_record(struct guard_rules *rules, const struct function *function, dl_string argument,
                     const value *result)
{
    bool is_ok = result->of.result.is_ok;
    const value *inner = result->of.result.val;
    if (!is_ok && function->id != CURRENT)
        rules->errors |= BIT(error_kind(result));
    switch (function->id) {
    case CURRENT:
        break;
    case LOCATE:
        forget_located(rules);
        if ((rules->has_located = is_ok))
            wasmtime_component_val_clone(inner, &rules->located);
        break;
    case FIND:
        if (!is_ok)
            break;
        forget_found(rules);
        rules->has_found = rules->found_in_call = true;
        wasmtime_component_val_clone(inner, &rules->found);
        break;
    default:
        if (!is_ok)
            break;
        unsigned outcome = dl_enum_of(inner, dl_outcome_names);
        rules->outcomes |= BIT(outcome);
        if (function == rules->serving && dl_strings_equal(argument, rules->argument))
            rules->same_outcomes |= BIT(outcome);
        if (outcome == DL_OUTCOME_DELETED)
            forget_found(rules); /* The record that was found does not exist anymore. */
    }
}

/* Whether the last `find` returned a record that meets the condition of the call. */
static bool found_meets_condition(const struct guard_rules *rules)
{
    const value *learning = found_learning(rules);
    if (learning == NULL)
        return false;
    switch (rules->serving->id) {
    case DELETE_IF_OWNED_BY:
        return user_id(learning).data != NULL && dl_strings_equal(user_id(learning), rules->argument);
    case DELETE_IF_UNCHANGED:
        return dl_strings_equal(revision(learning), rules->argument);
    default:
        return true;
    }
}

const char *dl_rules_check_call(const struct guard_rules *rules, const struct function *function, dl_string argument)
{
    if (!is_delete(function))
        return NULL;
    if (!is_delete(rules->serving))
        return "it deleted although no delete was called";
    const value *learning = found_learning(rules);
    bool is_found_revision = function->id == DELETE_IF_UNCHANGED && learning != NULL &&
                             dl_strings_equal(argument, revision(learning));
    bool is_same = function == rules->serving && dl_strings_equal(argument, rules->argument);
    if (rules->serving->id == DELETE_ANY || is_same || (is_found_revision && found_meets_condition(rules)))
        return NULL;
    return "its delete has a weaker condition than the delete that was called";
}

/* An error that the guard cannot return of its own accord must be one that the storage returned. */
static const char *check_error(const struct guard_rules *rules, unsigned kind)
{
    return rules->errors & BIT(kind) ? NULL : "it returned an error that the storage did not return";
}

static bool is_own_error(unsigned kind)
{
    return kind == DL_STORAGE_UNAVAILABLE || kind == DL_STORAGE_INTERNAL;
}

static const char *check_read(const struct guard_rules *rules, const value *answer)
{
    if (!answer->of.result.is_ok) {
        unsigned kind = error_kind(answer);
        if (is_own_error(kind))
            return NULL;
        return kind == DL_STORAGE_DENIED ? "it denied a call that deletes nothing" : check_error(rules, kind);
    }
    if (rules->serving->id == LOCATE)
        return rules->has_located && dl_values_equal(&rules->located, answer->of.result.val)
                   ? NULL
                   : "its locate returned another target than the storage";
    return rules->found_in_call && dl_values_equal(&rules->found, answer->of.result.val)
               ? NULL
               : "its find returned another record than the storage";
}

/* Whether the outcome of the call follows from what the storage returned. */
static bool outcome_follows(const struct guard_rules *rules, unsigned outcome)
{
    if (outcome == DL_OUTCOME_DELETED || rules->same_outcomes & BIT(outcome))
        return true;
    const value *learning = found_learning(rules);
    function_id condition = rules->serving->id;
    switch (outcome) {
    case DL_OUTCOME_ABSENT:
        return (rules->has_found && learning == NULL) || rules->outcomes & BIT(DL_OUTCOME_ABSENT);
    case DL_OUTCOME_UNOWNED:
        return condition == DELETE_IF_OWNED_BY && learning != NULL && user_id(learning).data == NULL;
    case DL_OUTCOME_OWNED_BY_ANOTHER:
        return condition == DELETE_IF_OWNED_BY && learning != NULL && user_id(learning).data != NULL &&
               !dl_strings_equal(user_id(learning), rules->argument);
    default:
        return condition == DELETE_IF_UNCHANGED && learning != NULL &&
               !dl_strings_equal(revision(learning), rules->argument);
    }
}

static const char *check_delete(struct guard_rules *rules, const value *answer)
{
    bool is_ok = answer->of.result.is_ok;
    unsigned outcome = is_ok ? dl_enum_of(answer->of.result.val, dl_outcome_names) : 0;
    unsigned kind = is_ok ? 0 : error_kind(answer);
    bool has_deleted = rules->outcomes & BIT(DL_OUTCOME_DELETED);
    bool is_unknown = rules->errors & BIT(DL_STORAGE_OUTCOME_UNKNOWN);
    if (has_deleted != (outcome == DL_OUTCOME_DELETED))
        return has_deleted ? "it deleted the record and returned something else"
                           : "it returned deleted although nothing was deleted";
    if (!has_deleted && is_unknown != (kind == DL_STORAGE_OUTCOME_UNKNOWN))
        return is_unknown ? "the outcome of its delete is unknown, and it returned something else"
                          : "it returned outcome-unknown although no outcome is unknown";
    if (is_ok)
        return outcome_follows(rules, outcome) ? NULL : "its outcome does not follow from what the storage returned";
    if (is_own_error(kind))
        return NULL;
    if (kind != DL_STORAGE_DENIED || rules->errors & BIT(DL_STORAGE_DENIED))
        return check_error(rules, kind);
    if (!found_meets_condition(rules))
        return "it denied a delete that it did not find would otherwise happen";
    rules->has_denied = true;
    return NULL;
}

const char *dl_rules_check_answer(struct guard_rules *rules, const value *answer)
{
    return is_delete(rules->serving) ? check_delete(rules, answer) : check_read(rules, answer);
}
