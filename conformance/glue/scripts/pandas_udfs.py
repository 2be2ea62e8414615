"""Vectorised functions: a scalar, one over a group's frame, an aggregate, an iterator of batches."""
import pandas as pd
from typing import Iterator
@F.pandas_udf("double")
def scaled(v: pd.Series, w: pd.Series) -> pd.Series:
    return (v * w).round(3)
@F.pandas_udf("double")
def middle(v: pd.Series) -> float:
    return float(v.median())
def centred(pdf: pd.DataFrame) -> pd.DataFrame:
    return pdf.assign(off=pdf["price"] - pdf["price"].mean())[["region", "order_id", "off"]]
def upper(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    for pdf in batches:
        yield pd.DataFrame({"order_id": pdf["order_id"], "product": pdf["product"].str.upper()})
sales = spark.read.option("header", True).schema("order_id int, region string, product string, qty double, price double, sold date").csv(B + "/in/sales/").filter("region is not null")
tell([rows(sales.filter("qty is not null").select("order_id", scaled("qty", "price").alias("amount"))), rows(sales.groupBy("region").agg(middle("price").alias("middle"))),
      rows(sales.groupBy("region").applyInPandas(centred, "region string, order_id int, off double").withColumn("off", F.round("off", 6))), rows(sales.mapInPandas(upper, "order_id int, product string"))])
