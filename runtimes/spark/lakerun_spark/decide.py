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
import os
import re
import socket
import sys
from urllib.parse import urlsplit

#: What of AWS a job may ask for without being moved: reads, and S3, whose writes belong to the attempt.
_READS = re.compile(r"^(Get|List|Describe|Head|BatchGet|Query|Scan|Search|Lookup|Filter|Assume)")
_seen = set()
_state = {"moves": False, "effect": None, "script": None}


def install(script=None):
    """Watches this process: its plans, the engine's errors, its connections and its AWS calls. `script`: its source, looked
    through when the first effect is about to happen that cannot be undone."""
    _state.update(moves=True, script=script)
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
    if _state["effect"]:
        stop = (f"{reason} is not proven to give Apache Spark's answer on Sail, and the run cannot start over on Apache Spark after "
                f"{_state['effect']}: start the job with --lakerun-engine spark")
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
    doubt = unproven_names(_state["script"] or "")
    if doubt:
        move(f"function:{doubt[0]} (looked for before {what})")
    _state["effect"] = what


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
            _proven = frozenset(json.load(file)["constructs"])
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
                    out.update(part for part in _sql(f"select {one.expression_string.expression}") if part.startswith("sql:unnamed:"))
    elif name == "Window" and message.frame_spec.HasField("lower") and not message.frame_spec.lower.unbounded:
        # A frame that slides: engines that take away what leaves it go by other roundings than those that add up what is in it.
        out.add(f"frame:slides({_kinds(message.window_function, columns)})")
    elif name == "UpdateFields":
        out.add("update:add" if message.HasField("value_expression") else "update:drop")
    elif name == "UnresolvedFunction" and mend.is_mended(message):
        # Its parts stand for themselves.
        out.add("mended:" + message.arguments[0].unresolved_function.function_name)
    elif name in ("UnresolvedFunction", "CallFunction"):
        out.update(f"function:{message.function_name.lower()}({kinds})" for kinds in _operands(message, columns))
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
        elif name == "Literal" and field.name in ("struct", "array", "map"):
            pass
        if field.message_type is None or (name, field.name) in _OPAQUE:
            continue
        for item in _messages(field, value):
            _walk(item, out, columns, schema)


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


def _sql(text, whole=True):
    """Nodes and functions of SQL text, by a parser of Spark's dialect. `whole`: a statement, whose columns have names."""
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
    for tree in trees:
        for node in tree.walk() if tree is not None else ():
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
                out.add(f"sql:Command:{str(node.this).lower()}")
            elif isinstance(node, exp.Case):
                out.add("sql:Case(string)" if _all_values(node, _is_text) else "sql:Case(number)" if _all_values(node, _is_whole) else "sql:Case")
            elif isinstance(node, exp.If) and isinstance(node.parent, exp.Case):
                pass
            elif isinstance(node, exp.RegexpSplit) and isinstance(node.expression, exp.Literal) and not node.expression.name:
                out.add("sql:RegexpSplit(characters)")
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


_SPECIAL = {
    ("LocalRelation", "schema"): _local,
    ("CommonInlineUserDefinedFunction", "python_udf"): lambda v: {f"udf:{v.eval_type}:{_type(v.output_type)}"},
    ("MapPartitions", "func"): lambda v: {f"map:{v.python_udf.eval_type}"},
    ("GroupMap", "func"): lambda v: {f"groupmap:{v.python_udf.eval_type}"},
    ("CoGroupMap", "func"): lambda v: {f"cogroupmap:{v.python_udf.eval_type}"},
    ("Cast", "eval_mode"): lambda v: {f"castmode:{v}"},
    ("Join", "join_type"): lambda v: {f"join:{v}"},
    ("SetOperation", "set_op_type"): lambda v: {f"setop:{v}"},
    ("SetOperation", "is_all"): lambda v: {f"setop:all:{v}"},
    ("SetOperation", "by_name"): lambda v: {f"setop:byname:{v}"},
    ("SetOperation", "allow_missing_columns"): lambda v: {f"setop:missing:{v}"},
    ("Aggregate", "group_type"): lambda v: {f"group:{v}"},
    ("SortOrder", "null_ordering"): lambda v: {f"nulls:{v}"},
    ("WindowFrame", "frame_type"): lambda v: {f"frame:{v}"},
    ("SQL", "query"): _sql,
    ("SqlCommand", "sql"): _sql,
    ("ExpressionString", "expression"): lambda v: _sql(f"select {v}", False),
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
            note(f"setting:{pair.key}={pair.value}")
        return config(self, operation)

    def _failed(self, error):
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):
            move(f"an error of the engine ({str(error).splitlines()[0][:200] if str(error) else type(error).__name__})")
        return failed(self, error)

    Client._execute, Client._execute_and_fetch_as_iterator = _execute, _fetch
    Client._analyze, Client.config, Client._handle_error = _analyze, _config, _failed


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


def _option(side, kind, name, value):
    text = str(value).lower()
    return f"{side}:{kind}:{name.lower()}={text if len(text) <= 24 else '…'}"


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
            "pycurl", "confluent_kafka", "duckdb", "turbodbc", "teradatasql", "hdbcli", "pymqi", "rdkafka", "adbc_driver_manager", "connectorx"}
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


def _watch_effects():
    import botocore.client

    own = _own_addresses()

    def audit(event, arguments):
        if event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            if isinstance(address, tuple) and tuple(address[:2]) not in own:
                effect(f"a connection to {address[0]}:{address[1]}")
        elif event == "import" and arguments[0].split(".")[0] in _DRIVERS:
            effect(f"a connection by {arguments[0]}")
        elif event in _PROGRAMS:
            program = _does_more(event, arguments)
            if program:
                effect(f"the program {program}")

    sys.addaudithook(audit)
    call = botocore.client.BaseClient._make_api_call

    def _call(self, operation, parameters):
        service = self.meta.service_model.service_name
        undone = _UNDONE.get(service)
        if not (undone and undone.match(operation)) and not _READS.match(operation):
            effect(f"the call {service}:{operation}")
        return call(self, operation, parameters)

    botocore.client.BaseClient._make_api_call = _call


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
