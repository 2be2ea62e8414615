"""Glue's type names (catalog, ApplyMapping) as Spark's."""

_ALIASES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint", "string": "string", "bool": "boolean"}


def spark_type(name):
    """Glue's name of a type as Spark SQL spells it: long -> bigint, char(3) -> string, struct<..> as it is."""
    text = str(name).strip().lower()
    if text.startswith(("varchar", "char")):
        return "string"
    return _ALIASES.get(text, text)
