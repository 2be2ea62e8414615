{{ config(materialized='incremental', incremental_strategy='insert_overwrite', partitioned_by=['d']) }}
select id, name, cast(born as varchar) as d from {{ ref('people') }}
