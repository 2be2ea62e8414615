{{ config(materialized='view') }}
select id, name, born, year(born) as y from {{ ref('people') }}
