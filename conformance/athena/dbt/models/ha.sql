{{ config(materialized='table', ha=true) }}
select id, name from {{ ref('people') }}
