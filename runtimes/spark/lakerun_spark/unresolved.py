"""A column that is not there, said as Apache Spark says it: with the names that are, the nearest first. Sail's error names only what it
looked for; the relation in which it looked is the innermost one of the plan that the engine cannot type while it can its inputs.
Source: Apache Spark 3.5, StringUtils.orderSuggestedIdentifiersBySimilarity.
"""

import contextlib
import re

_MISSING = re.compile(r"attribute ObjectName\(\[(?P<names>.*?)\]\) is missing from the schema")
_NAME = re.compile(r'Identifier\("((?:[^"\\]|\\.)*)"\)')
_TABLE = re.compile(r"Table or view not found: (?P<name>\S+)$")
#: How many names are told.
_MOST = 5


@contextlib.contextmanager
def named(client, plan, analyze):
    """What a plan raises within, in Apache Spark's words. `analyze` asks the engine itself."""
    from pyspark.errors import AnalysisException

    try:
        yield
    except AnalysisException as error:
        said = _said(client, plan, analyze, str(error))
        if said is None:
            raise
        raise AnalysisException(said) from None


def _said(client, plan, analyze, text):
    table = _TABLE.search(text)
    if table:
        quoted = ".".join(f"`{part.strip('`')}`" for part in table["name"].split("."))
        return (f"[TABLE_OR_VIEW_NOT_FOUND] The table or view {quoted} cannot be found. Verify the spelling and correctness of the schema and catalog.\n"
                "If you did not qualify the name with a schema, verify the current_schema() output, or qualify the name with the correct schema and catalog.")
    missing = _MISSING.search(text)
    if not missing:
        return None
    parts = [re.sub(r"\\(.)", r"\1", name) for name in _NAME.findall(missing["names"])]
    name = ".".join(f"`{part}`" for part in parts)
    candidates = _candidates(client, plan, analyze)
    if len(parts) > 1 and parts[0] in candidates:
        return None
    near = ", ".join(f"`{one}`" for one in suggestions(".".join(parts), candidates))
    said = f"A column or function parameter with name {name} cannot be resolved."
    if not near:
        return f"[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] {said}"
    return f"[UNRESOLVED_COLUMN.WITH_SUGGESTION] {said} Did you mean one of the following? [{near}]."


def suggestions(wanted, names):
    """The nearest names by the number of letters to change; those that are as near in the order of the columns."""
    return sorted(dict.fromkeys(names), key=lambda name: distance(wanted, name))[:_MOST]


def distance(one, other):
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for at, char in enumerate(one, 1):
        before, row[0] = row[0], at
        for place, against in enumerate(other, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (char != against))
    return row[-1]


def _candidates(client, plan, analyze):
    try:
        relations = _innermost(client, plan, analyze)
        return [name for relation in relations for name in _columns(client, relation, analyze) or []]
    except Exception:  # noqa: BLE001 - of an error's words only the suggestion is lost
        return []


def _columns(client, relation, analyze):
    """A relation's names, or nothing where the engine cannot say them."""
    from pyspark.errors import PySparkException
    from pyspark.sql.connect import proto

    asked = proto.Plan()
    asked.root.CopyFrom(relation)
    try:
        return [field.name for field in analyze(client, "schema", plan=asked).schema.fields]
    except PySparkException:
        return None


def _innermost(client, message, analyze):
    """The inputs of the innermost relation that cannot be typed."""
    inputs = list(_inputs(message))
    for one in inputs:
        if _columns(client, one, analyze) is None:
            return _innermost(client, one, analyze)
    if not inputs:
        return _tables(message)
    return inputs


def _inputs(message):
    """The relations that stand directly within a message."""
    from . import decide

    for field, value in message.ListFields():
        for one in decide._messages(field, value):
            if one.DESCRIPTOR.name == "Relation":
                yield one
            else:
                yield from _inputs(one)


def _tables(relation):
    """The tables that a statement names."""
    from pyspark.sql.connect import proto

    if not hasattr(relation, "sql") or not relation.sql.query:
        return []
    from sqlglot import exp, parse_one

    found = []
    for table in parse_one(relation.sql.query, read="spark").find_all(exp.Table):
        read = proto.Relation()
        read.read.named_table.unparsed_identifier = table.sql(dialect="spark").split(" AS ")[0]
        found.append(read)
    return found
