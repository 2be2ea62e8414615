{{ config(materialized='incremental', table_type='iceberg', incremental_strategy='merge', unique_key='id', format='parquet') }}
select id, name, born from {{ ref('people') }}
