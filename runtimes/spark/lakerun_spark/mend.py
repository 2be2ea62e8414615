"""Plans as Sail is to run them: casts whose answers there are not Apache Spark's become expressions whose answers are, where the types
of their columns tell. With ANSI off Spark casts the text `1.5` to the whole number 1, where Sail says null, and wraps a number that
an int cannot hold, where Sail says null. An element of an array by its place is null where there is none, and an error of Sail's.

What Sail answers otherwise for some values only becomes an expression that answers for these, too (`_REPLACED`), or one that is an error
for them (`_guard`): an error of the engine's moves a run of engine `auto` to Apache Spark by itself.

Regular expressions are Java's to Apache Spark and Rust's to Sail: those that mean the same to both are sent as what they mean to Java (`java`),
the rest stays and is not proven.

The engine is asked for the types of a relation's input, once for each; a plan without any of them costs nothing.
"""

import re

from . import unresolved

_WHOLE = {"integer", "long", "short", "byte"}
_BITS = {"integer": 32, "short": 16, "byte": 8}
#: A text of a whole number, with or without a fraction, and one of a fraction only; blanks are those of UTF8String.trimAll.
_BLANK = r"[\x00-\x20\x7f]*"
TEXT = f"^{_BLANK}([+-]?[0-9]+)(?:\\.[0-9]*)?{_BLANK}$"
FRACTION = f"^{_BLANK}[+-]?\\.[0-9]+{_BLANK}$"
_TRY = 3

_cache = {}
#: Expressions that stand for others, by their bytes: what they stand for, what of it is its own, and the kinds of its values.
_made = {}
#: Expressions that have got the names that they had without one, by their bytes: as they were.
_named = {}
#: What Java reads as a number, and Sail does not: `1.5d`, `0x1p3`; and what Sail does not read as a decimal.
JAVAS = r"^\s*[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[dDfF]|0[xX].*)\s*$"
EXPONENT = r"^\s*[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+\s*$"
#: A date with a time behind it, of which a cast takes the date.
DATED = r"^\s*([+-]?\d{4,7}-\d{1,2}-\d{1,2})[ T]"
#: A word that does not follow a space: Sail begins one after any sign. And letters that have more than one large form, or none of their own.
WORDS = "[^\\p{L}\\p{N} ]\\p{L}|[ßŉǰΐΰևẖẗẘẙẚﬀ-ﬆﬓ-ﬗǄ-ǌǱ-ǳİΣ]"
_LEAST, _MOST = {"integer": -(1 << 31), "long": -(1 << 63)}, {"integer": (1 << 31) - 1, "long": (1 << 63) - 1}


def install():
    """Every plan of this process is mended before it is sent."""
    from pyspark.sql.connect.client.core import SparkConnectClient as Client

    execute, fetch = Client._execute, Client._execute_and_fetch_as_iterator
    install.analyze = Client._analyze

    def prepared(client, asked):
        if asked.HasField("command"):
            # A view may have other columns after it.
            _cache.clear()
        plan(client, asked)

    def _execute(self, req):
        with unresolved.named(self, req.plan, install.analyze):
            prepared(self, req.plan)
            return execute(self, req)

    def _fetch(self, req, *args, **kwargs):
        with unresolved.named(self, req.plan, install.analyze):
            prepared(self, req.plan)
        return fetched(self, req, *args, **kwargs)

    def fetched(self, req, *args, **kwargs):
        with unresolved.named(self, req.plan, install.analyze):
            yield from fetch(self, req, *args, **kwargs)

    def _analyze(self, method, **kwargs):
        with unresolved.named(self, kwargs.get("plan"), install.analyze):
            return install.analyze(self, method, **kwargs)

    Client._execute, Client._execute_and_fetch_as_iterator, Client._analyze = _execute, _fetch, _analyze


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
    from . import decide

    found = fields(client, relation)
    few_bits = {decide.FLOAT: "f"} if any(member.dataType.typeName() == "float" for member in found) else {}
    return {**dict(_paths(found, "")), **few_bits}


def _paths(members, before):
    from . import decide

    for member in members:
        name = before + member.name.lower()
        decide.spelled.setdefault(member.name.lower(), set()).add(member.name)
        yield name, decide._KINDS.get(decide._python_kind(member.dataType), "?")
        if member.dataType.typeName() == "struct":
            yield from _paths(member.dataType.fields, name + ".")
        elif "decimal" in member.dataType.simpleString() and member.dataType.typeName() != "decimal":
            # Somewhere within an array or a map.
            yield name + "[]", "d"


def plan(client, message):
    """Mends a plan in place; one that is mended already stays as it is."""
    from . import compat

    if (not compat._conf["ansi"] and _casts(message)) or _holds_regex(message):
        _visit(client, message, {})


def _casts(message):
    from . import decide

    if (message.DESCRIPTOR.name == "Cast" and _target(message) in _CAST) or _is_place(message):
        return True
    if message.DESCRIPTOR.name == "UnresolvedFunction" and message.function_name.lower() in _REPLACED:
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

    name, names = message.DESCRIPTOR.name, []
    if name == "Relation":
        # What the files layer makes of a text file follows rules of its own.
        if decide._reads_text(message):
            return
        known = decide._columns(message, lambda relation: columns(client, relation)) if decide._computes(message) and _casts_here(message) else {}
        if message.WhichOneof("rel_type") in ("project", "aggregate"):
            names = _names(client, message, known)
        if message.WhichOneof("rel_type") == "aggregate" and message.aggregate.HasField("pivot"):
            # Its columns are named by its functions as they are.
            return _visit(client, message.aggregate.input, {})
    if name == "Expression" and made(message):
        return None
    for field, value in message.ListFields():
        for item in decide._messages(field, value):
            _visit(client, item, known)
            if item.DESCRIPTOR.name == "Expression":
                _replace(item, known)
            # One that stands in a list of columns for itself has its name of what it is.
            if _is_place(item) and not _is_ansi() and not (name in ("Project", "Aggregate") and field.message_type.name == "Expression"):
                _mend_place(item, known)
    for expression, found, was in names:
        _name(expression, found, was)
    if name == "Cast":
        _mend(message, known)
    elif name == "UnresolvedFunction":
        _mend_regex(message)


def _is_ansi():
    from . import compat

    return compat._conf["ansi"]


def _casts_here(relation):
    """Among a relation's own expressions."""
    from . import decide

    inner = getattr(relation, relation.WhichOneof("rel_type"))
    return any(item.DESCRIPTOR.name != "Relation" and _casts(item) for field, value in inner.ListFields() for item in decide._messages(field, value))


def _wants(cast, known):
    """The kind that is cast, where the cast is to be mended."""
    from . import decide

    target, kinds = _target(cast), decide._kinds(cast.expr, known)
    if _is_ansi() or cast.eval_mode != _TRY or _is_mended(cast.expr) or is_sized(cast):
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


def made(expression):
    """What a mended expression stands for, what of it is its own, and the kinds of its values; none for one that is as it was."""
    return _made.get(expression.SerializeToString(deterministic=True)) if _made else None


def unnamed(expression):
    """An expression as it was before it got the name that it had without one."""
    return _named.get(expression.SerializeToString(deterministic=True)) if _named else None


def _replace(expression, known):
    """Puts in an expression's place what answers as Apache Spark does, where its kinds tell that it has to be."""
    found = _instead(expression, known)
    if found is None:
        return
    construct, own, instead = found
    from . import decide

    if len(_made) > 10000:
        _made.clear()
    _made[instead.SerializeToString(deterministic=True)] = construct, own, decide._kinds(expression, known)
    expression.CopyFrom(instead)


def _instead(expression, known):
    """The construct, its own parts, and the expression in its place."""
    from . import decide

    if _is_ansi():
        return None
    kind = expression.WhichOneof("expr_type")
    if kind == "cast":
        target, kinds = _target(expression.cast), decide._kinds(expression.cast.expr, known)
        if expression.cast.eval_mode != _TRY or (target, kinds) not in _CASTS:
            return None
        own = _copy(expression.cast.expr)
        return f"mended:cast:{target}({kinds})", [own], _CASTS[target, kinds](_copy(expression), own, target)
    if kind == "unresolved_function":
        function = expression.unresolved_function
        name, kinds = function.function_name.lower(), decide._kinds_of(function.arguments, known)
        wanted, replace = _REPLACED.get(name, ((), None))
        if kinds not in wanted or decide.FLOAT in known:
            return None
        own = [_copy(one) for one in function.arguments]
        instead = replace(_copy(expression), own)
        return None if instead is None else (f"mended:{name}({kinds})", own, instead)
    return None


def _clamped(cast, value, target):
    """Apache Spark makes 0 of what is no number, and the nearest of what is too large."""
    most, least = _MOST[target], _LEAST[target]
    number = _int if target == "integer" else _long
    return _call("when", _call("isnan", value), number(0), _call(">=", value, _double(float(most))), number(most),
                 _call("<=", value, _double(float(least))), number(least), cast)


def _guarded(pattern, what):
    def instead(cast, value, _):
        cast.cast.expr.CopyFrom(_guard(_call("rlike", value, _text(pattern)), what, value))
        return cast

    return instead


def _dated(cast, value, _):
    pattern = _text(DATED)
    cast.cast.expr.CopyFrom(_call("when", _call("rlike", value, pattern), _call("regexp_extract", value, pattern, _int(1)), value))
    return cast


def _guard(condition, what, value):
    """The value, and an error where the condition holds."""
    return _call("when", condition, _call("raise_error", _text(f"lakerun: Sail and Apache Spark part at {what}")), value)


def _numbers(function, own):
    """Of a maximum or a minimum: to Apache Spark what is no number is the greatest, to Sail it is nothing."""
    function.unresolved_function.arguments[0].CopyFrom(_guard(_call("isnan", own[0]), "the greatest of values that are no numbers", own[0]))
    return function


def _titled(function, own):
    function.unresolved_function.arguments[0].CopyFrom(_guard(_call("rlike", own[0], _text(WORDS)), "words that follow no space", own[0]))
    return function


def _from_json(function, own):
    """A text of nothing but blanks is null; so is an array of which an element is of another kind, that may be null of itself."""
    text = _call("when", _call("rlike", own[0], _text(r"[^\x00-\x20]")), own[0])
    shape = own[1].literal.string.strip().lower() if len(own) > 1 else ""
    if shape.startswith(("array", '{"type":"array"', '{"containsnull"')):
        found = _copy(function)
        off = _call("!=", _call("size", found), _call("size", _call("array_compact", found)))
        text = _guard(off, "an element of an array of JSON that is null", text)
    function.unresolved_function.arguments[0].CopyFrom(text)
    return function


def _sized(function, own):
    """Of nothing Apache Spark says -1."""
    return _call("coalesce", function, _int(-1))


def _rounded(function, own):
    """Halves are rounded up as the number is written, where Sail goes by the nearest binary one: 1.005 is 1.01."""
    if len(own) != 2 or own[1].literal.WhichOneof("literal_type") != "integer" or not 0 < own[1].literal.integer <= 12 or _is_short(own[0]):
        return None
    value, places = own[0], own[1].literal.integer
    shifted = _call("*", _call("abs", value), _double(10.0**places))
    off = _call("abs", _call("-", _call("-", shifted, _cast(_call("floor", shifted), "double")), _double(0.5)))
    near = _call("<=", off, _call("+", _call("*", shifted, _double(1e-14)), _double(1e-9)))
    # As it is written it has at most 17 digits.
    exact = _cast(_call("round", _cast(_cast(value, "string"), "decimal(38,20)"), own[1]), "double")
    told = _cast(_call("raise_error", _text("lakerun: Sail and Apache Spark part at a half that is rounded")), "double")
    plain = _call("or", _call("isnan", value), _call(">=", _call("abs", value), _double(1e15)))
    return _call("when", plain, function, near, _call("coalesce", exact, told), function)


def _is_short(message):
    """Whether it makes numbers of 32 bits, whose halves are others."""
    from . import decide

    if message.DESCRIPTOR.name == "Cast" and _target(message) == "float":
        return True
    return any(_is_short(item) for field, value in message.ListFields() for item in decide._messages(field, value))


def _parsed(function, own):
    """Text that does not fit its format: where the parser of Apache Spark 2 would have read it, Apache Spark 3 fails."""
    if len(own) != 2 or own[1].literal.WhichOneof("literal_type") != "string":
        return None
    told = _cast(_call("raise_error", _text("lakerun: Sail and Apache Spark part at a text that does not fit its format")), "timestamp")
    return _call("coalesce", function, _call("when", _call("rlike", own[0], _text(_loosely(own[1].literal.string))), told))


def _loosely(format):
    """What the parser of Apache Spark 2 may have read by a format: it goes by separators, and minds neither widths nor what follows."""
    out, rest = [r"^\s*"], format
    while rest:
        letters = re.match(r"([A-Za-z])\1*", rest)
        quoted = re.match(r"'((?:[^']|'')*)'", rest)
        if letters:
            out.append(r"[+-]?\d+" if letters[1] in "yuDdFhHkKmsSW" or letters[0] in ("M", "MM", "L", "LL", "w", "ww") else ".+?")
            rest = rest[letters.end():]
        elif quoted:
            out.append(re.escape(quoted[1].replace("''", "'") or "'"))
            rest = rest[quoted.end():]
        else:
            out.append(r"\s*" if rest[0].isspace() else re.escape(rest[0]) if rest[0] not in "[]'" else ".*?")
            rest = rest[1:]
    return "".join(out)


_CASTS = {
    ("integer", "f"): _clamped,
    ("long", "f"): _clamped,
    ("double", "s"): _guarded(JAVAS, "a text that is a number to Java"),
    ("decimal", "s"): _guarded(EXPONENT, "a decimal number with an exponent"),
    ("date", "s"): _dated,
}
_CAST = _WHOLE | {target for target, _ in _CASTS}
#: By function: for which kinds of its arguments, and what is put there.
_REPLACED = {"max": (("f",), _numbers), "min": (("f",), _numbers), "size": (("array", "map"), _sized), "round": (("f,i",), _rounded),
             "try_to_timestamp": (("s",), _parsed), "initcap": (("s",), _titled), "from_json": (("s",), _from_json)}


def _names(client, relation, known):
    """What of a relation's own is to be mended and has no name, with the name that it has as it is, and as it is."""
    if relation.WhichOneof("rel_type") == "project":
        return _unnamed(client, relation, relation.project.expressions, 0, known)
    aggregate = relation.aggregate
    if aggregate.HasField("pivot"):
        return []
    return [*_unnamed(client, relation, aggregate.grouping_expressions, 0, known),
            *_unnamed(client, relation, aggregate.aggregate_expressions, len(aggregate.grouping_expressions), known)]


def _is_to_mend(message, known):
    """Whether anything in an expression is to be mended."""
    from . import decide

    if (message.DESCRIPTOR.name == "Cast" and _wants(message, known) is not None) or _rewrites(message):
        return True
    if message.DESCRIPTOR.name == "Expression":
        if made(message):
            return False
        if _instead(message, known) is not None:
            return True
    return any(_is_to_mend(item, known) for field, value in message.ListFields() for item in decide._messages(field, value))


def _unnamed(client, relation, expressions, before, known):
    """The same among some expressions, which come after `before` others in the result."""
    from . import decide

    places = [at for at, one in enumerate(expressions) if one.WhichOneof("expr_type") not in decide._NAMED_ALREADY and _is_to_mend(one, known)]
    if not places:
        return []
    found, out = list(fields(client, relation)), []
    stars = [at for at, one in enumerate(expressions) if one.WhichOneof("expr_type") in ("unresolved_star", "unresolved_regex")]
    for at in places:
        # What a star stands for is known by what comes after it only.
        place = before + at if not any(star < at for star in stars) else at - len(expressions)
        if any(star > at for star in stars) and place < 0:
            continue
        out.append((expressions[at], found[place].name, _copy(expressions[at])))
    return out


def _name(expression, name, was):
    from pyspark.sql.connect import proto

    named = proto.Expression()
    named.alias.expr.CopyFrom(expression)
    named.alias.name.append(name)
    expression.CopyFrom(named)
    if was.WhichOneof("expr_type") != "cast":
        if len(_named) > 10000:
            _named.clear()
        _named[named.SerializeToString(deterministic=True)] = was


def _copy(expression):
    from pyspark.sql.connect import proto

    made = proto.Expression()
    made.CopyFrom(expression)
    return made


def _cast(expression, target):
    made = _copy(expression)
    made.cast.expr.CopyFrom(expression)
    made.cast.type_str = target
    made.cast.eval_mode = _TRY
    return made


def _double(value):
    from pyspark.sql.connect import proto

    made = proto.Expression()
    made.literal.double = value
    return made


# regular expressions

#: Functions whose second argument is a regular expression; of those whose matches are taken one after the other, an empty one is not alike.
REGEX = {"rlike", "regexp", "regexp_like", "regexp_replace", "regexp_extract", "regexp_extract_all", "regexp_count", "regexp_substr", "regexp_instr", "split"}
_ONE_BY_ONE = {"regexp_replace", "regexp_extract_all", "regexp_count", "split"}
_ENDS = "\n\r\u0085\u2028\u2029"
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \t\n\x0b\f\r"}
#: What has been written anew: it is sent as it is when a plan comes by again.
_written, _replacements = {TEXT, FRACTION}, set()


def java(pattern, ends=False):
    """A Java pattern as one of Rust's that matches the same; nothing where there is none, or none that is known. Java's classes are ASCII's,
    its `.` leaves out five ends of lines, its `$` stands before the last of them, too: that is written only where `ends` says that what is
    matched after the groups does not matter. Source: java.util.regex.Pattern; the syntax of the crate regex."""
    if pattern in _written:
        return pattern
    out, at, depth = "", 0, 0
    while at < len(pattern):
        char, step = pattern[at], None
        if char == "\\":
            step = _escape(pattern[at + 1 : at + 2])
            at += 2
        elif char == "[":
            at, step = _class(pattern, at + 1)
        elif char == "(":
            step = "(?:" if pattern.startswith("(?:", at) else None if pattern.startswith("(?", at) else "("
            depth, at = depth + 1, at + len(step or "")
        elif char in "*+?{":
            found = re.match(r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??(?!\+)", pattern[at:])
            step = found.group(0) if found else None
            at += len(step or "")
        elif char == "$":
            step = f"(?:\r\n|[{_ENDS}])?$" if ends and not depth and at == len(pattern) - 1 else None
            at += 1
        else:
            step = {".": f"[^{_ENDS}]", "]": None, "}": None}.get(char, char)
            depth, at = depth - (char == ")"), at + 1
        if step is None:
            return None
        out += step
    return out


def _escape(char):
    if char.lower() in _CLASSES and char:
        return f"[{'^' if char.isupper() else ''}{_CLASSES[char.lower()]}]"
    same = char and char.isascii() and (char in "tnrf" or not (char.isalnum() or char in "<> "))
    return "\\" + char if same else None


def _class(pattern, at):
    """What stands in brackets, and where it ends."""
    out = "[^" if pattern.startswith("^", at) else "["
    at += len(out) - 1
    first = at
    while at < len(pattern) and (pattern[at] != "]" or at == first):
        char = pattern[at]
        if char == "\\":
            following = pattern[at + 1 : at + 2]
            char = _CLASSES.get(following) if following in _CLASSES else None if following.upper() == following and following.isalpha() else _escape(following)
            at += 1
        if char is None or char in "[]" or pattern[at : at + 2] in ("&&", "--", "~~"):
            return at, None
        out, at = out + char, at + 1
    return at + 1, out + "]" if at < len(pattern) else None


def _groups(pattern):
    """How many groups a pattern has, and whether it matches the empty text; nothing where Python does not read it."""
    try:
        found = re.compile(pattern)
    except re.error:
        return None
    return found.groups, found.match("") is not None


def _replacement(text, groups):
    """Java's replacement as Rust's: `$1x` is the first group and an x."""
    if text in _replacements:
        return text
    out, at = "", 0
    while at < len(text):
        if text[at] == "$":
            found = re.match(r"[0-9]", text[at + 1 :])
            if not found or int(found.group(0)) > groups:
                return None
            end = at + 2
            while text[end : end + 1].isascii() and text[end : end + 1].isdigit() and int(text[at + 1 : end + 1]) <= groups:
                end += 1
            out, at = out + "${" + text[at + 1 : end] + "}", end
        elif text[at] == "\\":
            return None
        else:
            out, at = out + text[at], at + 1
    return out


def written(function):
    """A function's pattern and replacement as they mean to Rust what they mean to Java; nothing where that is not known."""
    given, name = list(function.arguments), function.function_name.lower()
    if len(given) < 2 or given[1].literal.WhichOneof("literal_type") != "string":
        return None
    ends = name in ("rlike", "regexp", "regexp_like") or (name == "regexp_extract" and len(given) > 2 and given[2].literal.integer > 0)
    pattern = java(given[1].literal.string, ends)
    groups = _groups(pattern) if pattern is not None else None
    if groups is None or (groups[1] and name in _ONE_BY_ONE):
        return None
    if name != "regexp_replace":
        return pattern, None
    if len(given) < 3 or given[2].literal.WhichOneof("literal_type") != "string":
        return None
    replacement = _replacement(given[2].literal.string, groups[0])
    return (pattern, replacement) if replacement is not None else None


def _rewrites(message):
    if message.DESCRIPTOR.name != "UnresolvedFunction" or message.function_name.lower() not in REGEX:
        return False
    found = written(message)
    return bool(found) and (found[0] != message.arguments[1].literal.string or (found[1] is not None and found[1] != message.arguments[2].literal.string))


def _holds_regex(message):
    """Whether there is one to be written anew."""
    from . import decide

    if _rewrites(message):
        return True
    if message.DESCRIPTOR.name == "Expression" and made(message):
        return False
    return any(_holds_regex(item) for field, value in message.ListFields() for item in decide._messages(field, value))


def _mend_regex(function):
    found = written(function) if function.function_name.lower() in REGEX else None
    if found is None:
        return
    pattern, replacement = found
    if pattern != function.arguments[1].literal.string:
        _written.add(pattern)
        function.arguments[1].literal.string = pattern
    if replacement is not None and replacement != function.arguments[2].literal.string:
        _replacements.add(replacement)
        function.arguments[2].literal.string = replacement


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
