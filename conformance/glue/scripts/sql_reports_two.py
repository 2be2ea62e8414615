"""Reports in SQL: common tables, windows, conditional sums, dates, an anti join, a lateral view, a union."""
spark.read.options(header=True, inferSchema=True).csv(B + "/in/sales/").createOrReplaceTempView("sales")
spark.read.json(B + "/in/clicks/").createOrReplaceTempView("clicks")
monthly = spark.sql("""
with base as (select *, date_trunc('month', sold) as month, coalesce(qty, 0) * price as amount from sales where region is not null),
     ranked as (select *, row_number() over (partition by region order by amount desc, order_id) as place, sum(amount) over (partition by region) as whole from base)
select region, order_id, round(amount, 2) as amount, round(100.0 * amount / whole, 1) as share, place from ranked where place <= 2""")
split = spark.sql("""select region, sum(case when price > 10 then 1 else 0 end) as dear, count(distinct product) as products, min(sold) as first, max(sold) as last,
                     datediff(max(sold), min(sold)) as days from sales group by region having count(*) > 1""")
lateral = spark.sql("select event_id, item.sku, coalesce(item.n, 0) as n from clicks lateral view explode(items) t as item")
without = spark.sql("select s.order_id from sales s left anti join (select distinct product from sales where qty >= 4) p on s.product = p.product union all select 0")
tell([rows(monthly), rows(split), rows(lateral), rows(without), monthly.dtypes, split.columns])
