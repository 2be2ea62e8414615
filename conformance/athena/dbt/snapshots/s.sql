{% snapshot people_snapshot %}
{{ config(target_schema=env_var('CONFORMANCE_DATABASE'), unique_key='id', strategy='check', check_cols=['name'], table_type='iceberg') }}
select * from {{ ref('people') }}
{% endsnapshot %}
{% snapshot people_snapshot_hive %}
{{ config(target_schema=env_var('CONFORMANCE_DATABASE'), unique_key='id', strategy='check', check_cols=['name']) }}
select * from {{ ref('people') }}
{% endsnapshot %}
