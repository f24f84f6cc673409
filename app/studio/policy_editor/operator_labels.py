"""The filter operators in words."""

from collections.abc import Mapping

from app.studio.form_errors import Translate


def operator_labels(translate: Translate) -> Mapping[str, str]:
    """Return the words for each operator, to be read between a field and a value."""
    _ = translate
    return {
        "_eq": _("is"),
        "_neq": _("is not"),
        "_lt": _("is less than"),
        "_lte": _("is at most"),
        "_gt": _("is greater than"),
        "_gte": _("is at least"),
        "_in": _("is one of"),
        "_nin": _("is none of"),
        "_between": _("is between"),
        "_nbetween": _("is not between"),
        "_null": _("is null"),
        "_nnull": _("is not null"),
        "_empty": _("is empty"),
        "_nempty": _("is not empty"),
        "_contains": _("contains"),
        "_ncontains": _("does not contain"),
        "_icontains": _("contains (any case)"),
        "_starts_with": _("starts with"),
        "_nstarts_with": _("does not start with"),
        "_istarts_with": _("starts with (any case)"),
        "_nistarts_with": _("does not start with (any case)"),
        "_ends_with": _("ends with"),
        "_nends_with": _("does not end with"),
        "_iends_with": _("ends with (any case)"),
        "_niends_with": _("does not end with (any case)"),
        "_regex": _("matches the regular expression"),
        "_submitted": _("is part of the request"),
    }


def builder_texts(translate: Translate) -> Mapping[str, str]:
    """Return the other texts of the builder for rules, by the names that its script uses."""
    _ = translate
    return {
        "all": _("All of these are true"),
        "any": _("At least one of these is true"),
        "addCondition": _("Add condition"),
        "addGroup": _("Add group"),
        "addPreset": _("Add value"),
        "remove": _("Remove"),
        "group": _("Group"),
        "match": _("How the conditions are combined"),
        "field": _("Field"),
        "itself": _("(itself)"),
        "some": _("at least one with"),
        "none": _("none with"),
        "operator": _("Comparison"),
        "value": _("Value"),
        "values": _("Values, separated by commas"),
        "chooseValue": _("Choose a value"),
        "enterValue": _("Enter a value."),
        "functions": _("Parts of dates, and counts"),
        "from": _("From"),
        "to": _("To"),
        "yes": _("Yes"),
        "no": _("No"),
        "everything": _("No condition: every row."),
        "anything": _("No condition: any values."),
        "nothing": _("No values."),
        "jsonOnly": _("This part can only be edited as JSON."),
        "unreadable": _("The JSON below has an error, or a part that can only be edited there."),
    }
