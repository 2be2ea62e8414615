"""UDFs that give structs, arrays and maps, with defaults for what is missing; one as a decorator, one in SQL."""
from pyspark.sql.types import ArrayType, DoubleType, IntegerType, MapType, StringType, StructField, StructType
@F.udf(returnType=StructType([StructField("first", StringType()), StructField("last", StringType()), StructField("words", IntegerType())]))
def parts(name):
    if not name or not name.strip():
        return None
    words = name.split()
    return (words[0].capitalize(), words[-1].capitalize() if len(words) > 1 else None, len(words))
digits = F.udf(lambda s: [int(c) for c in s or "" if c.isdigit()], ArrayType(IntegerType()))
counts = F.udf(lambda s: {c: s.count(c) for c in sorted(set(s))} if s else None, MapType(StringType(), IntegerType()))
spark.udf.register("half", lambda n: None if n is None else n / 2, DoubleType())
people = spark.read.options(header="true", sep=";").csv(B + "/in/people/")
frame = people.select("id", parts("name").alias("p"), digits("phone").alias("digits"), counts(F.lower("tier")).alias("counts"))
frame = frame.select("id", "p.first", F.col("p.last").alias("last"), F.coalesce("p.words", F.lit(0)).alias("words"), F.size("digits").alias("n"), F.col("counts")["g"].alias("gs"))
frame.createOrReplaceTempView("people")
tell([rows(frame), rows(spark.sql("select id, half(words) h, half(n) as hn from people where n > 0")), frame.dtypes])
