"""Plans as Sail is to run them: casts whose answers there are not Apache Spark's become expressions whose answers are, where the types
of their columns tell. With ANSI off Spark casts the text `1.5` to the whole number 1, where Sail says null, and wraps a number that
an int cannot hold, where Sail says null. An element of an array by its place is null where there is none, and an error of Sail's.

The engine is asked for the types of a relation's input, once for each; a plan without any of them costs nothing.
"""

_WHOLE = {"integer", "long", "short", "byte"}
_BITS = {"integer": 32, "short": 16, "byte": 8}
#: A text of a whole number, with or without a fraction, and one of a fraction only.
TEXT = r"^\s*([+-]?\d+)(?:\.\d*)?\s*$"
FRACTION = r"^\s*[+-]?\.\d+\s*$"
_TRY = 3

_cache = {}


def install():
    """Every plan of this process is mended before it is sent."""
    from pyspark.sql.connect.client.core import SparkConnectClient as Client

    execute, fetch = Client._execute, Client._execute_and_fetch_as_iterator
    install.analyze = Client._analyze

    def _execute(self, req):
        plan(self, req.plan)
        return execute(self, req)

    def _fetch(self, req, *args, **kwargs):
        plan(self, req.plan)
        return fetch(self, req, *args, **kwargs)

    Client._execute, Client._execute_and_fetch_as_iterator = _execute, _fetch


def fields(client, relation):
    """The engine's fields of a relation."""
    from pyspark.sql.connect import proto

    asked = proto.Plan()
    asked.root.CopyFrom(relation)
    key = asked.SerializeToString(deterministic=True)
    if key not in _cache:
        if len(_cache) > 256:
            _cache.clear()
        _cache[key] = install.analyze(client, "schema", plan=asked).schema.fields
    return _cache[key]


def columns(client, relation):
    """Kinds by lower-case name, as decide.py has them; those within structs by their path."""
    return dict(_paths(fields(client, relation), ""))


def _paths(members, before):
    from . import decide

    for member in members:
        name = before + member.name.lower()
        yield name, decide._KINDS.get(decide._python_kind(member.dataType), "?")
        if member.dataType.typeName() == "struct":
            yield from _paths(member.dataType.fields, name + ".")


def plan(client, message):
    """Mends a plan in place; one that is mended already stays as it is."""
    from . import compat

    if not compat._conf["ansi"] and _casts(message):
        _visit(client, message, {})


def _casts(message):
    from . import decide

    if (message.DESCRIPTOR.name == "Cast" and _target(message) in _WHOLE) or _is_place(message):
        return True
    return any(_casts(item) for field, value in message.ListFields() for item in decide._messages(field, value))


def _is_place(expression):
    """Whether it is an element by a number: of an array, or of a map with such keys."""
    return (expression.DESCRIPTOR.name == "Expression" and expression.WhichOneof("expr_type") == "unresolved_extract_value"
            and expression.unresolved_extract_value.extraction.literal.WhichOneof("literal_type") == "integer")


#: Whole numbers of 64 bits on Sail that are ints to Apache Spark: `compat.py` casts them.
_SIZED = {"datediff", "date_diff"}


def is_sized(cast):
    return (cast.eval_mode == _TRY and _target(cast) == "integer" and cast.expr.WhichOneof("expr_type") == "unresolved_function"
            and cast.expr.unresolved_function.function_name in _SIZED)


def _target(cast):
    from . import decide

    found = decide._target(cast)
    return decide._ALIASES.get(found, found)


def _visit(client, message, known):
    from . import decide

    name = message.DESCRIPTOR.name
    if name == "Relation":
        # What the files layer makes of a text file follows rules of its own.
        if decide._reads_text(message):
            return
        known = decide._columns(message, lambda relation: columns(client, relation)) if decide._computes(message) and _casts_here(message) else {}
        if message.WhichOneof("rel_type") in ("project", "aggregate"):
            _keep_names(client, message, known)
    for field, value in message.ListFields():
        for item in decide._messages(field, value):
            _visit(client, item, known)
            # One that stands in a list of columns for itself has its name of what it is.
            if _is_place(item) and not (name in ("Project", "Aggregate") and field.message_type.name == "Expression"):
                _mend_place(item, known)
    if name == "Cast":
        _mend(message, known)


def _casts_here(relation):
    """Among a relation's own expressions."""
    from . import decide

    inner = getattr(relation, relation.WhichOneof("rel_type"))
    return any(item.DESCRIPTOR.name != "Relation" and _casts(item) for field, value in inner.ListFields() for item in decide._messages(field, value))


def _wants(cast, known):
    """The kind that is cast, where the cast is to be mended."""
    from . import decide

    target, kinds = _target(cast), decide._kinds(cast.expr, known)
    if cast.eval_mode != _TRY or _is_mended(cast.expr) or is_sized(cast):
        return None
    return kinds if (kinds == "s" and target in _WHOLE) or (kinds == "i" and target in _BITS) else None


def _is_mended(expression):
    return expression.WhichOneof("expr_type") == "unresolved_function" and is_mended(expression.unresolved_function)


def is_mended(function):
    """Whether a function is what a cast has been mended with."""
    if function.function_name != "when" or len(function.arguments) != 3:
        return False
    first = function.arguments[0].unresolved_function
    return first.function_name in ("rlike", ">=") and len(first.arguments) == 2 and (
        first.arguments[1].literal.string == FRACTION or first.arguments[0].unresolved_function.function_name == "&")


def _mend(cast, known):
    wanted = _wants(cast, known)
    if wanted is None:
        return
    from pyspark.sql.connect import proto

    value = proto.Expression()
    value.CopyFrom(cast.expr)
    if wanted == "s":
        whole = _call("regexp_extract", value, _text(TEXT), _int(1))
        cast.expr.CopyFrom(_call("when", _call("rlike", value, _text(FRACTION)), _text("0"), whole))
        return
    bits = _BITS[_target(cast)]
    low = _call("&", value, _long((1 << bits) - 1))
    cast.expr.CopyFrom(_call("when", _call(">=", low, _long(1 << bits - 1)), _call("-", low, _long(1 << bits)), low))


def _mend_place(expression, known):
    from . import decide

    taken = expression.unresolved_extract_value
    if decide._kinds(taken.child, known) == "array" and taken.child.WhichOneof("expr_type") == "unresolved_attribute":
        expression.CopyFrom(_call("get", taken.child, taken.extraction))


def _keep_names(client, relation, known):
    """A cast without a name of its own is named by what it casts: as it was, though it is mended."""
    if relation.WhichOneof("rel_type") == "project":
        _alias(client, relation, relation.project.expressions, 0, known)
        return
    aggregate = relation.aggregate
    _alias(client, relation, aggregate.grouping_expressions, 0, known)
    if not aggregate.HasField("pivot"):
        _alias(client, relation, aggregate.aggregate_expressions, len(aggregate.grouping_expressions), known)


def _alias(client, relation, expressions, before, known):
    """Names the casts among some expressions, which come after `before` others in the result, as the engine has named them."""
    places = [at for at, one in enumerate(expressions) if one.WhichOneof("expr_type") == "cast" and _wants(one.cast, known)]
    if not places:
        return
    from pyspark.sql.connect import proto

    found = list(fields(client, relation))
    stars = [at for at, one in enumerate(expressions) if one.WhichOneof("expr_type") in ("unresolved_star", "unresolved_regex")]
    for at in places:
        # What a star stands for is known by what comes after it only.
        place = before + at if not any(star < at for star in stars) else at - len(expressions)
        if any(star > at for star in stars) and place < 0:
            continue
        named = proto.Expression()
        named.alias.expr.CopyFrom(expressions[at])
        named.alias.name.append(found[place].name)
        expressions[at].CopyFrom(named)


def _call(name, *arguments):
    from pyspark.sql.connect import proto

    made = proto.Expression()
    made.unresolved_function.function_name = name
    made.unresolved_function.arguments.extend(arguments)
    return made


def _text(value):
    from pyspark.sql.connect import proto

    made = proto.Expression()
    made.literal.string = value
    return made


def _int(value):
    from pyspark.sql.connect import proto

    made = proto.Expression()
    made.literal.integer = value
    return made


def _long(value):
    from pyspark.sql.connect import proto

    made = proto.Expression()
    made.literal.long = value
    return made
