"""`--lakerun-engine auto`: a job runs on Sail only as far as each construct of its plans has been proven to give Spark's answer;
at the first other one the run moves to Apache Spark and starts over there, its writes undone with the attempt.

A construct is what a Spark Connect plan is made of: a relation, a function by name, a cast by its target, a literal's type, a
reader or writer with each of its options, a setting, a node of SQL text. `proven.json` lists those that agreed with Apache Spark
in every recorded case that holds them; `conformance/spark/prove.py` writes it, nobody edits it.

Also a reason to move, whatever the plan: an error of the engine (Spark may answer, or fail in another way), and what PySpark's
Connect client lacks (RDDs, the JVM). Before the first effect that an attempt cannot undo (a connection to elsewhere, another program,
an AWS call that changes something other than objects in S3 and tables of the catalog) the rest of the script is looked through: see `effect`.
"""

import json
import mmap
import os
import re
import socket
import sys
import threading
from urllib.parse import urlsplit

#: What of AWS a job may ask for without being moved: reads, and S3, whose writes belong to the attempt.
_READS = re.compile(r"^(Get|List|Describe|Head|BatchGet|Query|Scan|Search|Lookup|Filter|Assume)")
_seen = set()
_state = {"moves": False, "effect": None, "script": None}


def install(script=None):
    """Watches this process: its plans, the engine's errors, its connections and its AWS calls. `script`: its source, looked
    through when the first effect is about to happen that cannot be undone."""
    _state.update(moves=True, script=script, pid=os.getpid(), shared=mmap.mmap(-1, _SHARED_BYTES))
    _watch()


def record():
    """For the differential test: notes constructs and never moves."""
    _state["records"] = True
    _watch()


def on_connect():
    """Whether the engine is reached by Spark Connect, rather than in Apache Spark's JVM."""
    return bool(os.environ.get("SPARK_REMOTE"))


def on_sail():
    """Whether the engine is Sail, rather than Apache Spark in whatever way."""
    return on_connect() and os.environ.get("LAKERUN_ENGINE") != "connect"


def watching():
    """Whether constructs are of interest in this process."""
    return _state["moves"] or _state.get("records", False)


def recording():
    return _state.get("records", False)


def matters(construct):
    """Whether it is to be noted: to be recorded, or because it would move the run."""
    return recording() or (_state["moves"] and construct not in proven())


def _watch():
    _watch_client()
    _watch_local()
    _watch_files()
    _watch_missing()
    _watch_effects()


def seen():
    """The constructs since the last call."""
    found = sorted(_seen)
    _seen.clear()
    return found


def note(*constructs):
    """A construct outside of plans: a reader's option, for instance."""
    _seen.update(constructs)
    if _state["moves"]:
        for one in constructs:
            if one not in proven():
                move(one)


def move(reason):
    """Ends this process; the run starts over on Apache Spark."""
    if not _state["moves"]:
        return
    if _is_child():
        raise RuntimeError(f"{reason} is not proven to give Apache Spark's answer on Sail, and a process that the script has forked cannot move the run: "
                           "start the job with --lakerun-engine spark")
    done = _state["effect"] or _of_children()
    if done:
        stop = (f"{reason} is not proven to give Apache Spark's answer on Sail, and the run cannot start over on Apache Spark after "
                f"{done}: start the job with --lakerun-engine spark")
        print(stop, file=sys.stderr)
        _finish(stop)
    print(f"lakerun: this run moves to Apache Spark: {reason} is not proven equal on Sail", file=sys.stderr)
    _finish(None, str(reason)[:500])


def _finish(error, moved=None):
    from . import launcher

    launcher.finish(error, moved)


def effect(what):
    """Called before something that no attempt can undo. Where the script holds nothing that would move it later, it stays; what
    moves it all the same is then an error that says so."""
    if not _state["moves"] or _state["effect"]:
        return
    if _is_child():
        # The script has been looked through before the fork.
        _tell_parent(what)
    else:
        _look_through(what)
    _state["effect"] = what


def _look_through(what):
    if _state.get("looked"):
        return
    doubt = unproven_names(_state["script"] or "")
    _state["looked"] = not doubt
    if doubt:
        move(f"function:{doubt[0]} (looked for before {what})")


#: What forks do is told in memory that they share with the process that decides.
_SHARED_BYTES = 512


def _is_child():
    return _state.get("pid") not in (None, os.getpid())


def _tell_parent(what):
    shared = _state.get("shared")
    if shared is not None and not shared[0]:
        text = f"{what}, by a process that the script has forked".encode()[: _SHARED_BYTES - 1]
        shared[: len(text)] = text


def _of_children():
    """The effect that a fork told of, or nothing."""
    shared = _state.get("shared")
    return shared[:].rstrip(b"\0").decode(errors="replace") if shared is not None else ""


def unproven_names(source):
    """Functions of pyspark.sql.functions that a script names, and nodes of the SQL texts in it, that are not proven; everything, where
    it cannot be parsed. A method of another thing with a function's name (`write.mode`) is none."""
    import ast

    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ["unread"]
    named = sorted(n for n in _named_functions(tree) - _NOT_FUNCTIONS
                   if not any(f in _proven_functions() for f in _NAMED.get(n, (n.lower(), n.lower().replace("_", "")))))
    texts = [node.args[0].value for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
             and node.func.attr == "sql" and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)]
    return named + sorted({one for text in texts for one in _sql(text)} - proven())


def unknowable(construct):
    """What stands for something that nobody has looked at, whatever answer some case of it gave: text that is not read, kinds that are not
    known, files that are read by another reader than ours, patterns that are no literals or are not alike in Java and Rust, lists over windows,
    in which Sail keeps nulls."""
    return "?" in construct or construct in {"sql:unread", "window:collect", "sql:window:collect"} or construct.startswith(("sql:using:", "regex:other", "format:other"))


def _named_functions(tree):
    """By `F.name`, whatever the module is called, and by `from pyspark.sql.functions import name`."""
    import ast

    from pyspark.sql import functions

    known = {name for name in dir(functions) if not name.startswith("_") and callable(getattr(functions, name))}
    modules, own = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname for alias in node.names if alias.name == "pyspark.sql.functions" and alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module == "pyspark.sql":
            modules |= {alias.asname or alias.name for alias in node.names if alias.name == "functions"}
        elif isinstance(node, ast.ImportFrom) and node.module == "pyspark.sql.functions":
            for alias in node.names:
                own.update({name: name for name in known} if alias.name == "*" else {alias.asname or alias.name: alias.name})
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in own:
            found.add(own[node.id])
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in modules | {"pyspark.sql.functions"}:
            found.add(node.attr)
    return found & known


def _proven_functions():
    return {one[9:].split("(")[0] for one in proven() if one.startswith("function:")}


#: Python names that are no functions of the engine, and those that the engine knows by another name.
_NOT_FUNCTIONS = {"col", "column", "lit", "expr", "udf", "udtf", "pandas_udf", "arrow_udf", "arrow_udtf", "broadcast", "asc", "desc", "asc_nulls_first", "asc_nulls_last",
                  "desc_nulls_first", "desc_nulls_last"}
_NAMED = {"countDistinct": ("count",), "count_distinct": ("count",), "sumDistinct": ("sum",), "sum_distinct": ("sum",), "mean": ("avg",),
          "pow": ("power",), "create_map": ("map",), "to_date": ("try_to_timestamp",), "to_timestamp": ("try_to_timestamp",)}


_proven = None


def proven():
    global _proven
    if _proven is None:
        with open(os.path.join(os.path.dirname(__file__), "proven.json")) as file:
            _proven = frozenset(one for one in json.load(file)["constructs"] if not unknowable(one))
    return _proven


# plans


def constructs(message, schema=None):
    """What a protobuf message (a Plan, Relation, Command or Expression) is made of. Functions and casts carry the kinds of the
    columns and literals below them, `function:+(d,i)`; `schema` gives a relation's {name: kind}."""
    out = set()
    _walk(message, out, {}, schema or (lambda relation: {}))
    return out


#: Kinds of types that engines treat alike; the letters stand in proven.json.
_KINDS = {"byte": "i", "short": "i", "integer": "i", "long": "i", "float": "f", "double": "f", "decimal": "d", "string": "s", "char": "s",
          "var_char": "s", "boolean": "b", "date": "date", "timestamp": "ts", "timestamp_ntz": "ntz", "binary": "bin", "array": "array",
          "map": "map", "struct": "struct", "null": "null"}


#: The kind of what a function gives, whatever it is given; of others the kinds of their arguments stand for it.
_RESULTS = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "<=>", "and", "or", "not", "isnull", "isnotnull", "isnan", "in", "like", "ilike", "rlike", "contains",
                     "startswith", "endswith", "array_contains"), "b"),
    **dict.fromkeys(("count", "row_number", "rank", "dense_rank", "ntile", "length", "char_length", "year", "month", "day", "dayofmonth", "dayofweek", "dayofyear",
                     "weekofyear", "quarter", "hour", "minute", "second", "datediff", "date_diff", "size", "instr", "locate", "ascii", "unix_timestamp",
                     "approx_count_distinct", "monotonically_increasing_id"), "i"),
    **dict.fromkeys(("upper", "lower", "trim", "ltrim", "rtrim", "concat_ws", "substring", "substr", "lpad", "rpad", "initcap", "regexp_replace", "regexp_extract",
                     "date_format", "md5", "sha1", "sha2", "translate", "to_json", "get_json_object", "base64", "hex", "from_unixtime", "format_string",
                     "substring_index"), "s"),
    **dict.fromkeys(("add_months", "date_add", "date_sub", "last_day", "next_day", "trunc", "make_date", "current_date"), "date"),
    **dict.fromkeys(("date_trunc", "to_timestamp", "try_to_timestamp", "current_timestamp"), "ts"),
    **dict.fromkeys(("months_between", "sqrt", "stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop", "exp", "ln", "log10", "power"), "f"),
    **dict.fromkeys(("struct", "named_struct"), "struct"),
    **dict.fromkeys(("array", "split", "collect_list", "collect_set", "sort_array"), "array"),
}


def _below(message, columns, out):
    """The kinds of an expression's values: of columns, literals, casts and known functions their own, else of what lies below. What
    a window is parted and ordered by, and what a choice depends on, is no part of the value."""
    from . import mend

    kind = message.DESCRIPTOR.name
    made = mend.made(message) if kind == "Expression" else None
    if made:
        out.update(made[2].split(","))
    elif kind == "UnresolvedAttribute":
        name = message.unparsed_identifier.replace("`", "").lower()
        out.add(columns.get(name) or columns.get(name.split(".")[-1]) or columns.get(name.split(".")[0]) or "?")
    elif kind == "Literal":
        given = message.WhichOneof("literal_type")
        out.add(_KINDS.get(given, given or "null"))
    elif kind == "UnresolvedStar":
        out.add("*")
    elif kind == "UnresolvedFunction" and message.function_name.lower() in _RESULTS:
        out.add(_RESULTS[message.function_name.lower()])
    elif kind == "UnresolvedFunction" and message.function_name.lower() == "when":
        pairs = len(message.arguments) // 2
        for value in [*list(message.arguments)[1 : 2 * pairs : 2], *list(message.arguments)[2 * pairs :]]:
            _below(value, columns, out)
    elif kind == "Cast":
        target = _target(message)
        out.add(_KINDS.get(_ALIASES.get(target, target), "?"))
    elif kind == "Window":
        _below(message.window_function, columns, out)
    else:
        for field, value in message.ListFields():
            for item in _messages(field, value):
                _below(item, columns, out)


def _target(cast):
    """The type that a cast names."""
    return _type(cast.type) if cast.HasField("type") else re.split(r"[(<]", cast.type_str.strip().lower())[0]


def _messages(field, value):
    """The messages in a field's value. (A repeated field of protobuf's C implementation has no __iter__: ask the field.)"""
    if field.message_type is None:
        return []
    if field.message_type.GetOptions().map_entry:
        return list(value.values()) if field.message_type.fields_by_name["value"].message_type is not None else []
    repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
    return list(value) if repeated else [value]


def _kinds(message, columns):
    return _kinds_of([message], columns)


def _kinds_of(messages, columns):
    out = set()
    for message in messages:
        _below(message, columns, out)
    out.discard("null")
    return ",".join(sorted(out))


def _columns(relation, schema):
    """The columns of what a relation reads from."""
    kind = relation.WhichOneof("rel_type")
    inner = getattr(relation, kind) if kind else None
    columns = {}
    for name in ("input", "left", "right"):
        if inner is not None and name in inner.DESCRIPTOR.fields_by_name and inner.HasField(name):
            columns.update(schema(getattr(inner, name)))
    return columns


def _walk(message, out, columns, schema):
    from . import mend

    name = message.DESCRIPTOR.name
    if name == "Expression" and (made := mend.made(message)):
        construct, own, _ = made
        out.add(construct)
        if construct.startswith("mended:try_to_timestamp("):
            out.add(f"format:try_to_timestamp={own[1].literal.string}")
        for one in own:
            _walk(one, out, columns, schema)
        return
    if name == "Relation":
        columns = _columns(message, schema) if _computes(message) else {}
        if _reads_text(message):
            columns = {**columns, _TEXT: "s"}
        kind = message.WhichOneof("rel_type")
        if kind == "set_op":
            left, right = (schema(getattr(message.set_op, side + "_input")) for side in ("left", "right"))
            if message.set_op.by_name:
                same = all(right[name] == kind for name, kind in left.items() if name in right)
                out.update({"setop:adds"} if left.keys() != right.keys() else ())
            else:
                same = list(left.values()) == list(right.values())
            out.add("setop:types=" + ("same" if same else "other"))
        elif kind in ("project", "aggregate"):
            inner = getattr(message, kind)
            listed = inner.expressions if kind == "project" else inner.aggregate_expressions
            for one in listed:
                one = mend.unnamed(one) or one
                if one.WhichOneof("expr_type") not in _NAMED_ALREADY:
                    out.add(f"unnamed:{one.WhichOneof('expr_type')}")
                    out.update(f"unnamed:with:{part}" for part in _rewritten(one))
                if one.WhichOneof("expr_type") == "expression_string":
                    out.update(part for part in _sql(f"select {one.expression_string.expression}", True) if part.startswith("sql:unnamed:"))
    elif name == "Window" and message.window_function.unresolved_function.function_name.lower() in _COLLECTS:
        # Nulls are in their lists on Sail.
        out.add("window:collect")
    elif name == "Window" and message.frame_spec.HasField("lower") and not message.frame_spec.lower.unbounded:
        # A frame that slides: engines that take away what leaves it go by other roundings than those that add up what is in it.
        out.add(f"frame:slides({_kinds(message.window_function, columns)})")
    elif name == "UpdateFields":
        out.add("update:add" if message.HasField("value_expression") else "update:drop")
        if spelled.get(message.field_name.lower(), {message.field_name}) != {message.field_name}:
            # Sail finds a struct's field by its name as it is spelled.
            out.add("update:case")
    elif name == "UnresolvedFunction" and mend.is_mended(message):
        # Its parts stand for themselves.
        out.add("mended:" + message.arguments[0].unresolved_function.function_name)
    elif name in ("UnresolvedFunction", "CallFunction"):
        out.update(f"function:{message.function_name.lower()}({kinds})" for kinds in _operands(message, columns))
        out.update(_patterns(message))
    elif name == "Cast" and mend.is_sized(message):
        inner = message.expr.unresolved_function
        out.add(f"mended:{inner.function_name}({_kinds_of(inner.arguments, columns)})")
        for argument in inner.arguments:
            _walk(argument, out, columns, schema)
        return
    elif name == "Cast":
        target = _target(message)
        # The files layer's own casts of what it read; what is particular to texts of numbers in files, it notes itself.
        name_of_cast = "readcast" if _TEXT in columns else "cast"
        out.add(f"{name_of_cast}:{_ALIASES.get(target, target)}({_kinds(message.expr, columns)})")
    for field, value in message.ListFields():
        if field.containing_oneof is not None and name in ("Relation", "Expression", "Command", "Catalog", "Literal", "Plan"):
            out.add(f"{name.lower()}:{field.name}")
        special = _SPECIAL.get((name, field.name))
        if special is not None:
            out.update(special(value))
        elif (name, field.name) == ("ExpressionString", "expression"):
            out.update(_sql(f"select {value}", False, columns))
        elif (name, field.name) in (("SQL", "query"), ("SqlCommand", "sql")):
            out.update(_sql(value, True, _columns_of_tables(value, schema)))
        elif name == "Literal" and field.name in ("struct", "array", "map"):
            pass
        if field.message_type is None or (name, field.name) in _OPAQUE:
            continue
        for item in _messages(field, value):
            _walk(item, out, columns, schema)


#: How the columns and fields that were looked at are spelled, by their names in small letters.
spelled = {}
_COLLECTS = {"collect_list", "collect_set", "array_agg"}


def _operands(function, columns):
    """The kinds of a function's arguments. Those of a struct have nothing to do with each other; of a choice only its values matter; a
    struct is written as its parts are."""
    name = function.function_name.lower()
    if name == "split" and len(function.arguments) > 1 and function.arguments[1].literal.string == "":
        return {"characters"}
    if name == "to_json" and _kinds_of(function.arguments[:1], columns) == "struct":
        return {"struct:" + kind for kind in _parts(function.arguments[0], columns)}
    if name in ("struct", "named_struct"):
        return {_kinds(one, columns) for one in function.arguments}
    if name == "when" and _is_of_literals(function):
        # Whole numbers of one size.
        return {_kinds(function, columns) + "=1"}
    return {_kinds(function, columns) if name == "when" else _kinds_of(function.arguments, columns)}


def _is_of_literals(choice):
    """Whether all values of a choice are literals of one type, or nothing: columns of a kind may differ in size."""
    pairs = len(choice.arguments) // 2
    values = [*list(choice.arguments)[1 : 2 * pairs : 2], *list(choice.arguments)[2 * pairs :]]
    types = {one.literal.WhichOneof("literal_type") if one.WhichOneof("expr_type") == "literal" else None for one in values} - {"null"}
    return types == {"integer"}


def _parts(expression, columns):
    """The kinds within a struct, `?` where they are not known."""
    kind = expression.WhichOneof("expr_type")
    if kind == "unresolved_function" and expression.unresolved_function.function_name.lower() == "struct":
        return {_kinds(one, columns) for one in expression.unresolved_function.arguments}
    path = expression.unresolved_attribute.unparsed_identifier.replace("`", "").lower() + "."
    return {found for name, found in columns.items() if kind == "unresolved_attribute" and name.startswith(path)} or {"?"}


#: Functions that our own layer puts into expressions, or in the place of others: a column without a name is then named by them.
_OURS = {"variance", "nullif", "try_to_timestamp", "get", "when", "regexp_extract", "&"}


def _rewritten(expression):
    """What of an expression is named otherwise than the script has it: casts, which Spark shows, and what stands for something else."""
    name = expression.DESCRIPTOR.name
    out = {"cast"} if name == "Cast" else set()
    if name == "UnresolvedFunction" and expression.function_name.lower() in _OURS:
        out.add(expression.function_name.lower())
    for field, value in expression.ListFields():
        for item in _messages(field, value):
            out |= _rewritten(item)
    return out


#: Marks columns among which some have 32 bits.
FLOAT = "\0float"
#: Marks the columns of a text file as it was read.
_TEXT = "\0text"


def _reads_text(relation):
    return (relation.WhichOneof("rel_type") == "project" and relation.project.input.WhichOneof("rel_type") == "read"
            and relation.project.input.read.data_source.format.startswith("lakerun_files_"))


_NAMED_ALREADY = ("alias", "unresolved_attribute", "unresolved_star", "unresolved_regex")
_ALIASES = {"int": "integer", "bigint": "long", "smallint": "short", "tinyint": "byte", "dec": "decimal", "numeric": "decimal", "real": "float"}


def _computes(relation):
    """Whether a relation has expressions of its own: then the types of its input matter."""
    kind = relation.WhichOneof("rel_type")
    return kind not in (None, "read", "local_relation", "sql", "range", "drop", "limit", "offset", "repartition", "set_op", "deduplicate")


def _type(value):
    kind = value.WhichOneof("kind") or "none"
    if kind == "unparsed":
        text = value.unparsed.data_type_string.strip().lower()
        return re.split(r"[(<\s]", text)[0]
    return kind


#: Functions with a pattern of dates, and where it stands: of a text that is read the whole pattern matters, of one that is written each letter.
_FORMATS = {"date_format": 1, "from_unixtime": 1, "try_to_timestamp": 1, "to_timestamp": 1, "to_date": 1, "unix_timestamp": 1, "to_unix_timestamp": 1,
            "date_trunc": 0, "trunc": 1}
_WRITTEN = {"date_format", "from_unixtime"}


def _patterns(function):
    """What the literal patterns among a function's arguments mean: regular expressions, and dates."""
    from . import mend

    name = function.function_name.lower() if function.DESCRIPTOR.name == "UnresolvedFunction" else ""
    if name in mend.REGEX:
        found, given = mend.written(function), function.arguments
        same = found and found[0] == given[1].literal.string and found[1] in (None, given[2].literal.string if len(given) > 2 else None)
        return {"regex:known" if same else "regex:other"}
    at = _FORMATS.get(name)
    if at is None or len(function.arguments) <= at:
        return set()
    literal = function.arguments[at].literal
    if literal.WhichOneof("literal_type") != "string":
        return {"format:other"}
    if name not in _WRITTEN:
        return {f"format:{name}={literal.string}"}
    return {f"format:{name}:{token}" for token, _ in re.findall(r"(([A-Za-z])\2*)", literal.string)} | ({f"format:{name}:quote"} if "'" in literal.string else set())


def _columns_of_tables(text, schema):
    """The kinds of the columns of the tables that a statement reads, by their names; of a table that is not known, `?` is a decimal."""
    try:
        import sqlglot
        from sqlglot import exp

        trees = sqlglot.parse(text, read="spark", error_level=sqlglot.ErrorLevel.RAISE)
    except Exception:  # noqa: BLE001 - it is unread
        return {}
    from pyspark.sql.connect import proto

    columns = {}
    for tree in filter(None, trees):
        within = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if table.name.lower() in within or not isinstance(table.parent, (exp.From, exp.Join)) or isinstance(table.this, exp.Func):
                continue
            relation = proto.Relation()
            relation.read.named_table.unparsed_identifier = ".".join(f"`{part.name}`" for part in table.parts)
            _state["asks"] = True
            try:
                found = schema(relation)
            except Exception:  # noqa: BLE001 - the statement itself will say what is wrong
                found = {"?": "d"}
            finally:
                _state["asks"] = False
            for name, kind in found.items():
                columns[name] = kind if columns.get(name, kind) == kind or kind == "d" else columns[name] if columns[name] == "d" else "?"
    return columns


def _number(node, columns, doubt):
    """Whether a part of SQL is a decimal (`d`), a double (`f`), or another thing. `doubt`: what a column is that no table has."""
    from sqlglot import exp

    if isinstance(node, exp.Literal):
        return "d" if not node.is_string and "." in node.name and "e" not in node.name.lower() else ""
    if isinstance(node, exp.Column):
        names = [part.name.lower() for part in node.parts]
        kind = next((columns[name] for name in (".".join(names), ".".join(names[1:]), names[-1]) if name in columns), None)
        return doubt if kind in (None, "?", "array", "map") else kind if kind in ("d", "f") else ""
    if isinstance(node, (exp.Dot, exp.Bracket)):
        return doubt
    if isinstance(node, (exp.Cast, exp.TryCast)):
        kind = node.to.sql("spark").lower()
        return "d" if kind.startswith(("dec", "numeric")) else "f" if kind.startswith(("double", "float", "real")) else ""
    if isinstance(node, (exp.Predicate, exp.Connector, exp.Subquery, exp.Query)):
        return doubt if isinstance(node, (exp.Subquery, exp.Query)) else ""
    inner = [_number(one, columns, doubt) for one in node.iter_expressions()] if node is not None else []
    if isinstance(node, (exp.Paren, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.Div)):
        return "f" if "f" in inner else "d" if "d" in inner else "f" if isinstance(node, exp.Div) else ""
    return "d" if "d" in inner else "f" if "f" in inner else ""


def _of_decimals(node, columns, doubt):
    """Whether what a node computes depends on a decimal's digits. Of a double and a decimal, the decimal is made a double."""
    if columns is None or type(node).__name__ not in _OF_DECIMALS:
        return False
    kinds = [_number(one, columns, doubt) for one in node.iter_expressions()]
    from sqlglot import exp

    literals = [isinstance(one, exp.Literal) for one in node.iter_expressions()]
    beside = isinstance(node, exp.Binary) and "f" in kinds and all(kind != "d" or literal for kind, literal in zip(kinds, literals))
    return "d" in kinds and not beside


def _sql(text, whole=True, columns=None):
    """Nodes and functions of SQL text, by a parser of Spark's dialect. `whole`: a statement, whose columns have names. `columns`: the kinds of
    those that it sees; what it computes of decimals is apart then."""
    try:
        import sqlglot
        from sqlglot import exp
    except ImportError:
        return {"sql:unread"}
    try:
        trees = sqlglot.parse(text, read="spark", error_level=sqlglot.ErrorLevel.RAISE)
    except Exception:  # noqa: BLE001 - whatever the parser cannot read is not proven
        return {"sql:unread"}
    out = set()
    texts = re.search(r"\b(decimal|dec|numeric|to_number|extract|date_part|datepart)\b|(?<![\w.])\d*\.\d+(?![\deE]*[eEdDfF])", text, re.IGNORECASE)
    doubt = "d" if columns is not None and (texts or "d" in columns.values()) else ""
    for tree in trees:
        for node in tree.walk() if tree is not None else ():
            if _of_decimals(node, columns, doubt):
                out.update(of_kinds({f"sql:{type(node).__name__}"}, {"d"}))
            out.update(_sql_patterns(node))
            if whole and isinstance(node, exp.Select):
                # Engines name what has no name, each in its way.
                unnamed = [one for one in node.expressions if not isinstance(one, (exp.Alias, exp.Column, exp.Star))]
                out.update(f"sql:unnamed:{type(one).__name__}" for one in unnamed)
                out.update("sql:unnamed:with:cast" for one in unnamed if not isinstance(one, exp.Cast) and one.find(exp.Cast))
            kind = type(node).__name__
            if isinstance(node, exp.Anonymous):
                out.add(f"sql:function:{node.name.lower()}")
            elif isinstance(node, (exp.Cast, exp.TryCast)):
                out.add(f"sql:Cast:{_operand(node.this)}:{node.to.sql('spark').split('(')[0].split('<')[0].lower()}")
            elif isinstance(node, exp.Join):
                out.add(f"sql:Join:{node.side.lower()}:{node.kind.lower()}:{node.method.lower()}")
            elif isinstance(node, exp.Command):
                # What follows is not parsed.
                rest = str(node.args.get("expression") or "").strip("' ").split(None, 1)
                out.add(f"sql:Command:{str(node.this).lower()}{' ' + rest[0].lower() if rest else ''}")
            elif isinstance(node, exp.FileFormatProperty):
                out.add(f"sql:using:{node.name.lower()}")
            elif isinstance(node, exp.Case):
                out.add("sql:Case(string)" if _all_values(node, _is_text) else "sql:Case(number)" if _all_values(node, _is_whole) else "sql:Case")
            elif isinstance(node, exp.If) and isinstance(node.parent, exp.Case):
                pass
            elif isinstance(node, exp.RegexpSplit) and isinstance(node.expression, exp.Literal) and not node.expression.name:
                out.add("sql:RegexpSplit(characters)")
            elif isinstance(node, exp.Window) and isinstance(node.this, (exp.ArrayAgg, exp.ArrayUniqueAgg)):
                out.add("sql:window:collect")
            elif isinstance(node, exp.Func) or isinstance(node, (exp.Neg, exp.Binary)):
                out.add(f"sql:{kind}")
                first = node.args.get("this")
                if isinstance(first, exp.Literal) or isinstance(node, exp.Neg):
                    out.add(f"sql:{kind}({_operand(first)})")
            elif isinstance(node, exp.Table):
                out.add(f"sql:Table:{len(node.parts)}")
            elif not isinstance(node, (exp.Identifier, exp.Column, exp.Alias, exp.TableAlias)):
                out.add(f"sql:{kind}")
    return out


#: Nodes with a regular expression, or with several.
_SQL_REGEX = {"RegexpReplace": ("expression",), "RegexpLike": ("expression",), "RegexpILike": ("expression",), "RegexpExtract": ("expression",),
              "RegexpExtractAll": ("expression",), "RegexpInstr": ("expression",), "RegexpSubstr": ("expression",), "RegexpCount": ("expression",),
              "RegexpSplit": ("expression",), "Split": ("expression",), "StrToMap": ("pair_delim", "key_value_delim")}


def _sql_patterns(node):
    """As `_patterns`. SQL text is sent as it is: a pattern has to be the same in Java and in Rust, and its text in both parsers."""
    from . import mend
    from sqlglot import exp

    name = type(node).__name__
    out = set()
    for member in _SQL_REGEX.get(name, ()):
        pattern = node.args.get(member)
        if pattern is None and name == "StrToMap":
            continue
        text = pattern.name if isinstance(pattern, exp.Literal) and pattern.is_string else None
        known = text is not None and "\\" not in text and mend.java(text) == text
        groups = mend._groups(text) if known else None
        known = groups is not None and not (groups[1] and name not in ("RegexpLike", "RegexpExtract", "RegexpInstr", "RegexpSubstr"))
        replacement = node.args.get("replacement")
        if known and name == "RegexpReplace" and replacement is not None:
            known = isinstance(replacement, exp.Literal) and replacement.is_string and not set("\\$") & set(replacement.name)
        out.add("regex:known" if known else "regex:other")
    pattern = node.args.get("format") if isinstance(node, exp.Func) else None
    if pattern is not None:
        out.add(f"sql:format:{name}={pattern.name}" if isinstance(pattern, exp.Literal) else "format:other")
    return out


def _all_values(case, fits):
    """Whether each value of a CASE fits or is null."""
    from sqlglot import exp

    values = [one.args.get("true") for one in case.args.get("ifs", [])] + [case.args.get("default")]
    return all(one is None or isinstance(one, exp.Null) or fits(one) for one in values)


def _is_text(node):
    from sqlglot import exp

    return isinstance(node, exp.Literal) and node.is_string


def _is_whole(node):
    """A whole number that an int holds, as all of them do that are written so."""
    from sqlglot import exp

    node = node.this if isinstance(node, exp.Neg) else node
    return isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit() and int(node.name) < 1 << 31


def of_kinds(constructs, kinds):
    """What a text computes of decimals is apart from what it computes of all else: their types have rules of their own."""
    if "d" not in kinds:
        return set(constructs)
    return {f"{one}:d" if one.startswith("sql:") and one[4:].split("(")[0] in _OF_DECIMALS else one for one in constructs}


#: Parts of SQL whose types depend on their operands'.
_OF_DECIMALS = {"Add", "Sub", "Mul", "Div", "IntDiv", "Mod", "Neg", "Sum", "Avg", "Round", "Abs", "Coalesce", "If", "Case", "Nullif", "Greatest", "Least", "Floor", "Ceil",
                "Union", "StddevSamp", "Variance"}


def _operand(node):
    from sqlglot import exp

    if isinstance(node, exp.Literal):
        return "string" if node.is_string else "number"
    return type(node).__name__.lower() if node is not None else "none"


def _local(schema):
    """A frame made of the script's own values: the client rounds decimals and fits types by itself."""
    return {f"local:{kind}" for kind in ("decimal", "struct", "map", "array", "interval", "char") if kind in schema.replace("struct", "", 1)}


#: Functions over batches of Arrow, whose null structs `frames.py` masks.
_OF_ARROW = 207


def _structs(function):
    """Marks functions that give structs: where they are null, Sail shows zeros in their fields."""
    fields = function.output_type.struct.fields
    return ":struct" if function.eval_type != _OF_ARROW and any(b"struct" in _shape(field.data_type) for field in fields) else ""


def _shape(type_):
    """The kinds of a type and of what is within it."""
    kind = type_.WhichOneof("kind") or ""
    within = {"array": ["element_type"], "map": ["key_type", "value_type"]}.get(kind, [])
    return kind.encode() + b"".join(_shape(getattr(getattr(type_, kind), name)) for name in within)


_SPECIAL = {
    ("LocalRelation", "schema"): _local,
    ("CommonInlineUserDefinedFunction", "python_udf"): lambda v: {f"udf:{v.eval_type}:{_type(v.output_type)}"},
    ("MapPartitions", "func"): lambda v: {f"map:{v.python_udf.eval_type}" + _structs(v.python_udf)},
    ("GroupMap", "func"): lambda v: {f"groupmap:{v.python_udf.eval_type}" + _structs(v.python_udf)},
    ("CoGroupMap", "func"): lambda v: {f"cogroupmap:{v.python_udf.eval_type}" + _structs(v.python_udf)},
    ("Cast", "eval_mode"): lambda v: {f"castmode:{v}"},
    ("Join", "join_type"): lambda v: {f"join:{v}"},
    ("SetOperation", "set_op_type"): lambda v: {f"setop:{v}"},
    ("SetOperation", "is_all"): lambda v: {f"setop:all:{v}"},
    ("SetOperation", "by_name"): lambda v: {f"setop:byname:{v}"},
    ("SetOperation", "allow_missing_columns"): lambda v: {f"setop:missing:{v}"},
    ("Aggregate", "group_type"): lambda v: {f"group:{v}"},
    ("SortOrder", "null_ordering"): lambda v: {f"nulls:{v}"},
    ("WindowFrame", "frame_type"): lambda v: {f"frame:{v}"},
    ("NamedTable", "unparsed_identifier"): lambda v: {f"read:table:{len(v.split('.'))}"},
    ("DataSource", "format"): lambda v: {"read:files" if v.startswith("lakerun_files_") else f"read:{v}"},
    ("WriteOperation", "source"): lambda v: {f"write:{v}"},
    ("WriteOperation", "mode"): lambda v: {f"writemode:{v}"},
    ("WriteOperationV2", "provider"): lambda v: {f"write2:{v}"},
}
#: Settled by the constructs above, or by what the files layer notes.
_OPAQUE = {
    ("CommonInlineUserDefinedFunction", "python_udf"), ("MapPartitions", "func"), ("GroupMap", "func"), ("CoGroupMap", "func"),
    ("Cast", "type"), ("LocalRelation", "data"), ("Plan", "compression_operation"), ("Relation", "common"), ("Expression", "common"),
}


def _watch_client():
    from pyspark.sql.connect.client.core import SparkConnectClient as Client

    execute, fetch, analyze, config, failed = (
        Client._execute, Client._execute_and_fetch_as_iterator, Client._analyze, Client.config, Client._handle_error)

    from . import mend

    def kinds(writer):
        """The kinds of what is written, partition columns apart."""
        found = columns(writer._spark.client, writer._write._child.plan(writer._spark.client))
        keys = {name.lower() for name in writer._write.partitioning_cols}
        return {("partition=" if name in keys else "kind=") + kind for name, kind in found.items()}

    _state["kinds"] = kinds

    columns = mend.columns

    def check(client, plan):
        # What is sent is looked at.
        mend.plan(client, plan)
        found = constructs(plan, lambda relation: columns(client, relation))
        if any(one.startswith("sql:") for one in found) and plan.HasField("root"):
            kinds = set(columns(client, plan.root).values())
            found = of_kinds(found, kinds) | {f"sqltype:{kind}" for kind in kinds}
        note(*found)

    def _execute(self, req):
        check(self, req.plan)
        return execute(self, req)

    def _fetch(self, req, *args, **kwargs):
        check(self, req.plan)
        return fetch(self, req, *args, **kwargs)

    def _analyze(self, method, **kwargs):
        if kwargs.get("plan") is not None:
            check(self, kwargs["plan"])
        return analyze(self, method, **kwargs)

    def _config(self, operation):
        for pair in operation.set.pairs:
            if not of_the_machine(pair.key):
                note(f"setting:{pair.key}={pair.value}")
        return config(self, operation)

    def _failed(self, error):
        if not isinstance(error, (KeyboardInterrupt, SystemExit)) and not _state.get("asks"):
            move(f"an error of the engine ({str(error).splitlines()[0][:200] if str(error) else type(error).__name__})")
        return failed(self, error)

    Client._execute, Client._execute_and_fetch_as_iterator = _execute, _fetch
    Client._analyze, Client.config, Client._handle_error = _analyze, _config, _failed


#: Settings of how and where Apache Spark runs, which no answer depends on.
_OF_THE_MACHINE = re.compile(r"spark\.(app\.name|master|submit\.|driver\.|executor\.|ui\.|eventLog\.|serializer$|kryo|network\.|rpc\.|memory\.|speculation"
                             r"|dynamicAllocation\.|yarn\.|kubernetes\.|history\.|metrics\.|shuffle\.|locality\.|task\.|cleaner\.|scheduler\.)")


def of_the_machine(key):
    return bool(_OF_THE_MACHINE.match(key))


def _watch_local():
    """Frames of pandas: what is missing in them is NaN to one engine and null to the other."""
    from pyspark.sql.connect.session import SparkSession

    made = SparkSession.createDataFrame

    def createDataFrame(self, data, *args, **kwargs):
        if hasattr(data, "select_dtypes") and bool(data.select_dtypes("floating").isna().any().any()):
            note("local:pandas:nan")
        return made(self, data, *args, **kwargs)

    SparkSession.createDataFrame = createDataFrame


def _python_kind(type_):
    names = {"integer": "integer", "bigint": "long", "long": "long", "smallint": "short", "tinyint": "byte", "varchar": "string"}
    name = type_.typeName()
    return names.get(name, name)


# readers and writers: their options do not all reach a plan, since the files layer obeys some by itself


def _watch_files():
    from pyspark.sql.connect import readwriter

    load, save = readwriter.DataFrameReader.load, readwriter.DataFrameWriter.save

    def _load(self, path=None, format=None, schema=None, **options):
        kind = (format or self._format or "parquet").lower()
        given = {**self._options, **{k: v for k, v in options.items() if v is not None}}
        note(f"reader:{kind}", f"reader:{kind}:schema={bool(schema or self._schema)}",
             *(_option("reader", kind, name, value) for name, value in given.items() if name != "path"))
        try:
            return load(self, path, format, schema, **options)
        except (AssertionError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError) as error:
            # Our own layer's: Apache Spark may read it.
            move(f"an error in reading {kind} ({type(error).__name__}: {error})"[:300])
            raise

    def _save(self, path=None, format=None, mode=None, partitionBy=None, **options):
        kind = (format or self._write.source or "parquet").lower()
        given = {**self._write.options, **{k: v for k, v in options.items() if v is not None}}
        if partitionBy is not None:
            self.partitionBy(partitionBy)
        note(f"writer:{kind}", f"writer:{kind}:partitioned={bool(partitionBy or self._write.partitioning_cols)}",
             f"writer:mode:{mode or self._write.mode}", *(f"writer:{kind}:{one}" for one in sorted(_state["kinds"](self))),
             *(_option("writer", kind, name, value) for name, value in given.items() if name != "path"))
        return save(self, path, format, mode, partitionBy, **options)

    readwriter.DataFrameReader.load, readwriter.DataFrameWriter.save = _load, _save


#: Options whose values are words, the same in capitals. Of a pattern, a separator or a text each letter is itself.
_WORDS = {"mode", "compression", "codec", "encoding", "charset", "partitionoverwritemode", "int96rebasemode", "datetimerebasemode"}


def _option(side, kind, name, value):
    text, low = str(value), str(value).lower()
    text = low if low in ("true", "false") or name.lower() in _WORDS else text
    return f"{side}:{kind}:{name.lower()}={text if len(text) <= 24 or 'format' in name.lower() else '…'}"


def _watch_missing():
    """What the Connect client does not have, Apache Spark may."""
    from pyspark.errors import PySparkAttributeError, PySparkNotImplementedError

    for error in (PySparkAttributeError, PySparkNotImplementedError):
        original = error.__init__

        def init(self, *args, _original=original, **kwargs):
            _original(self, *args, **kwargs)
            move(str(self)[:200])

        error.__init__ = init


# effects that no attempt undoes


#: Modules that connect by C code, which Python does not see: their import counts as the connection.
_DRIVERS = {"psycopg2", "psycopg_c", "psycopg_binary", "MySQLdb", "_mysql_connector", "pyodbc", "cx_Oracle", "oracledb", "pymssql", "_mssql", "ibm_db",
            "pycurl", "confluent_kafka", "deltalake", "duckdb", "turbodbc", "teradatasql", "hdbcli", "pymqi", "rdkafka", "adbc_driver_manager", "connectorx"}
#: Programs that only tell something of this process's own machine, and pip, whose packages are this run's own.
_TELLING = {"cat", "date", "df", "du", "echo", "env", "file", "find", "free", "head", "hostname", "id", "java", "ld", "ldconfig", "ls", "lscpu", "nproc",
            "objdump", "pip", "pip3", "printenv", "ps", "pwd", "tail", "true", "uname", "wc", "which", "whoami"}
#: Where Python says that another program begins, and where its name and its arguments stand.
_PROGRAMS = {"subprocess.Popen": (0, 1), "os.posix_spawn": (0, 1), "os.exec": (0, 1), "os.spawn": (1, 2), "os.system": (0, None)}
#: The calls that an attempt undoes: what its keys write to objects, and to the catalog.
_UNDONE = {
    "s3": re.compile(r"^((Put|Copy|Delete)Objects?|UploadPart(Copy)?|(Create|Complete|Abort)MultipartUpload|SelectObjectContent)$"),
    "glue": re.compile(r"^(Batch)?(Create|Update)(Database|Table|Partition)$"),
}


#: In a thread that is in a call of botocore's.
_calling = threading.local()


def _watch_effects():
    import botocore.client

    own = _own_addresses()
    _watch_requests(own)
    _watch_spawns()

    def audit(event, arguments):
        if event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            if isinstance(address, tuple) and tuple(address[:2]) not in own:
                effect(f"a connection to {address[0]}:{address[1]}")
        elif event == "import" and (arguments[0].split(".")[0] in _DRIVERS or arguments[0].startswith("google.cloud.")):
            effect(f"a connection by {arguments[0]}")
        elif event in ("os.fork", "os.forkpty") and _state["moves"] and not _is_child():
            # What the fork does cannot move the run.
            _look_through("a fork")
        elif event in _PROGRAMS:
            program = _does_more(event, arguments)
            if program:
                effect(f"the program {program}")

    sys.addaudithook(audit)
    call = botocore.client.BaseClient._make_api_call

    def _call(self, operation, parameters):
        _of_api(self, operation)
        before, _calling.on = getattr(_calling, "on", False), True
        try:
            return call(self, operation, parameters)
        finally:
            _calling.on = before

    botocore.client.BaseClient._make_api_call = _call
    sys.meta_path.insert(0, _AsyncClients())


def _of_api(client, operation):
    service = client.meta.service_model.service_name
    undone = _UNDONE.get(service)
    if not (undone and undone.match(operation)) and not _READS.match(operation):
        effect(f"the call {service}:{operation}")


class _AsyncClients:
    """Watches aiobotocore, whose clients make their calls by themselves, once it is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != "aiobotocore.client":
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            call = module.AioBaseClient._make_api_call

            async def _call(self, operation, parameters):
                _of_api(self, operation)
                return await call(self, operation, parameters)

            module.AioBaseClient._make_api_call = _call

        spec.loader.exec_module = exec_module
        return spec


def _watch_requests(own):
    """Requests to Lakerun's own address that are no calls of botocore's: signed by hand, a function's URL, an object's."""
    import http.client

    begin = http.client.HTTPConnection.putrequest

    def putrequest(self, method, url, *args, **kwargs):
        if method.upper() not in ("GET", "HEAD", "OPTIONS") and not getattr(_calling, "on", False) and (self.host, self.port) in own:
            effect(f"the request {method} {self.host}:{self.port}{url.partition('?')[0][:100]}")
        return begin(self, method, url, *args, **kwargs)

    http.client.HTTPConnection.putrequest = putrequest


def _watch_spawns():
    """Interpreters that multiprocessing starts anew: nothing watches them, and Python tells nobody of them."""
    import multiprocessing.util as util

    spawn = util.spawnv_passfds

    def spawnv_passfds(*arguments):
        effect("another process of Python")
        return spawn(*arguments)

    util.spawnv_passfds = spawnv_passfds


def _does_more(event, arguments):
    """The name of a program that may do what no attempt undoes; none where it only tells something."""
    name, words = _PROGRAMS[event]
    text = os.fsdecode(arguments[name]) if isinstance(arguments[name], (str, bytes, os.PathLike)) else ""
    given = [] if words is None else arguments[words]
    given = [given] if isinstance(given, (str, bytes)) else list(given or [])
    given = [os.fsdecode(word) for word in given if isinstance(word, (str, bytes, os.PathLike))]
    # A shell's line may hold any number of programs.
    line = text if words is None else given[2] if os.path.basename(text) in ("sh", "bash") and given[1:2] == ["-c"] and len(given) > 2 else None
    if line is not None:
        given = [] if re.search(r"[;&|<>`$\n()]", line) else line.split()
        text = given[0] if given else line
    program = os.path.basename(text or (given[0] if given else ""))
    of_pip = program.startswith("python") and given[1:3] == ["-m", "pip"]
    return None if of_pip or program in _TELLING else program[:100]


def _own_addresses():
    """(host, port) of the engine and of Lakerun's endpoints: what else listens on this machine is somebody's database."""
    urls = [value for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT_URL") or name == "SPARK_REMOTE"]
    own = set()
    for url in urls:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            own.update(tuple(found[4][:2]) for found in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM))
        except OSError:
            pass
        own.add((parts.hostname, port))
    return own
