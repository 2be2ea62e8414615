{{ config(materialized='table', table_type='iceberg', format='parquet', partitioned_by=['bucket(id, 4)']) }}
select id, name, born from {{ ref('people') }}
