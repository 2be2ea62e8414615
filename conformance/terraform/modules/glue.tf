resource "aws_s3_bucket" "b" {
  bucket        = "mod-glue-${data.aws_caller_identity.this.account_id}"
  force_destroy = true
}
resource "aws_s3_object" "script" {
  bucket  = aws_s3_bucket.b.id
  key     = "geo.py"
  content = "print('x')"
}
resource "aws_iam_role" "glue" {
  name               = "mod-glue"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "glue.amazonaws.com" } }] })
}
resource "aws_iam_role_policy_attachment" "glue" {
  role       = aws_iam_role.glue.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSGlueServiceRole"
}
resource "aws_iam_role_policy_attachment" "s3" {
  role       = aws_iam_role.glue.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
}
resource "aws_glue_catalog_database" "this" {
  name         = "mod_payments"
  description  = "Glue Catalog database for the data"
  catalog_id   = data.aws_caller_identity.this.account_id
  location_uri = "s3://${aws_s3_bucket.b.bucket}/db"
  parameters   = { a = "b" }
  create_table_default_permission {
    permissions = ["SELECT"]
    principal { data_lake_principal_identifier = "IAM_ALLOWED_PRINCIPALS" }
  }
  tags = local.tags
}
resource "aws_glue_catalog_table" "this" {
  name          = "medicare"
  description   = "Test Glue Catalog table"
  database_name = aws_glue_catalog_database.this.name
  catalog_id    = data.aws_caller_identity.this.account_id
  owner         = "owner"
  parameters    = { classification = "parquet", EXTERNAL = "TRUE" }
  retention     = 0
  table_type    = "EXTERNAL_TABLE"
  partition_keys {
    name    = "day"
    type    = "date"
    comment = "c"
  }
  partition_index {
    index_name = "idx"
    keys       = ["day"]
  }
  storage_descriptor {
    location                  = "s3://${aws_s3_bucket.b.bucket}/t"
    input_format              = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format             = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
    bucket_columns            = []
    compressed                = false
    number_of_buckets         = -1
    parameters                = {}
    stored_as_sub_directories = false
    columns {
      name       = "id"
      type       = "bigint"
      comment    = "c"
      parameters = { "iceberg.field.id" = "1" }
    }
    columns {
      name = "name"
      type = "struct<a:string,b:array<int>>"
    }
    ser_de_info {
      name                  = "parquet"
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
      parameters            = { "serialization.format" = "1" }
    }
    sort_columns {
      column     = "id"
      sort_order = 1
    }
  }
}
resource "aws_glue_security_configuration" "this" {
  name = "mod-sec"
  encryption_configuration {
    cloudwatch_encryption { cloudwatch_encryption_mode = "DISABLED" }
    job_bookmarks_encryption { job_bookmarks_encryption_mode = "DISABLED" }
    s3_encryption { s3_encryption_mode = "SSE-S3" }
  }
}
resource "aws_glue_classifier" "csv" {
  name = "mod-csv"
  csv_classifier {
    allow_single_column    = false
    contains_header        = "PRESENT"
    delimiter              = ","
    disable_value_trimming = false
    header                 = ["a", "b"]
    quote_symbol           = "'"
  }
}
resource "aws_glue_connection" "jdbc" {
  name                  = "mod-jdbc"
  description           = "d"
  catalog_id            = data.aws_caller_identity.this.account_id
  connection_type       = "JDBC"
  connection_properties = { JDBC_CONNECTION_URL = "jdbc:postgresql://h/db", PASSWORD = "p", USERNAME = "u" }
  match_criteria        = []
  tags                  = local.tags
}
resource "aws_glue_crawler" "this" {
  name          = "mod-crawler"
  description   = "Glue crawler that processes data"
  database_name = aws_glue_catalog_database.this.name
  role          = aws_iam_role.glue.arn
  schedule      = "cron(0 1 * * ? *)"
  classifiers   = [aws_glue_classifier.csv.name]
  configuration = jsonencode({ Grouping = { TableGroupingPolicy = "CombineCompatibleSchemas" }, CrawlerOutput = { Partitions = { AddOrUpdateBehavior = "InheritFromTable" } }, Version = 1 })
  table_prefix  = "p_"
  s3_target {
    path       = "s3://${aws_s3_bucket.b.bucket}/in"
    exclusions = ["**.tmp"]
  }
  schema_change_policy {
    delete_behavior = "LOG"
    update_behavior = "LOG"
  }
  recrawl_policy { recrawl_behavior = "CRAWL_EVERYTHING" }
  lineage_configuration { crawler_lineage_settings = "DISABLE" }
  tags = local.tags
}
resource "aws_glue_crawler" "catalog" {
  name          = "mod-catalog"
  database_name = aws_glue_catalog_database.this.name
  role          = aws_iam_role.glue.arn
  catalog_target {
    database_name = aws_glue_catalog_database.this.name
    tables        = [aws_glue_catalog_table.this.name]
  }
  schema_change_policy {
    delete_behavior = "LOG"
    update_behavior = "UPDATE_IN_DATABASE"
  }
  configuration = jsonencode({ Version = 1, Grouping = { TableGroupingPolicy = "CombineCompatibleSchemas" } })
}
resource "aws_glue_job" "this" {
  name                   = "mod-job"
  description            = "Glue Job that runs data_cleaning.py Python script"
  role_arn               = aws_iam_role.glue.arn
  connections            = [aws_glue_connection.jdbc.name]
  glue_version           = "4.0"
  default_arguments      = { "--job-language" = "python", "--enable-metrics" = "true" }
  non_overridable_arguments = { "--x" = "y" }
  security_configuration = aws_glue_security_configuration.this.name
  timeout                = 20
  max_retries            = 2
  worker_type            = "Standard"
  number_of_workers      = 2
  execution_class        = null
  command {
    name            = "glueetl"
    script_location = "s3://${aws_s3_bucket.b.bucket}/geo.py"
    python_version  = "3"
  }
  notification_property { notify_delay_after = 3 }
  execution_property { max_concurrent_runs = 3 }
  tags = local.tags
}
resource "aws_glue_job" "shell" {
  name         = "mod-shell"
  role_arn     = aws_iam_role.glue.arn
  max_capacity = 0.0625
  glue_version = "3.0"
  command {
    name            = "pythonshell"
    script_location = "s3://${aws_s3_bucket.b.bucket}/geo.py"
    python_version  = "3.9"
  }
}
resource "aws_glue_workflow" "this" {
  name                   = "mod-wf"
  description            = "Test Glue Workflow"
  default_run_properties = { a = "b" }
  max_concurrent_runs    = 2
  tags                   = local.tags
}
resource "aws_glue_trigger" "start" {
  name              = "mod-start"
  workflow_name     = aws_glue_workflow.this.name
  type              = "SCHEDULED"
  enabled           = true
  start_on_creation = true
  schedule          = "cron(15 12 * * ? *)"
  description       = "Glue Trigger"
  actions {
    job_name  = aws_glue_job.this.name
    arguments = { "--a" = "b" }
    timeout   = 5
    security_configuration = null
    notification_property { notify_delay_after = 3 }
  }
  tags = local.tags
}
resource "aws_glue_trigger" "then" {
  name              = "mod-then"
  workflow_name     = aws_glue_workflow.this.name
  type              = "CONDITIONAL"
  start_on_creation = true
  predicate {
    logical = "ANY"
    conditions {
      job_name         = aws_glue_job.this.name
      state            = "SUCCEEDED"
      logical_operator = "EQUALS"
    }
  }
  actions { crawler_name = aws_glue_crawler.this.name }
}
resource "aws_glue_registry" "this" {
  registry_name = "mod-registry"
  description   = "Glue registry"
  tags          = local.tags
}
resource "aws_glue_schema" "this" {
  schema_name       = "mod-schema"
  registry_arn      = aws_glue_registry.this.arn
  description       = "Glue schema"
  data_format       = "AVRO"
  compatibility     = "BACKWARD"
  schema_definition = "{\"type\": \"record\", \"name\": \"r1\", \"fields\": [ {\"name\": \"f1\", \"type\": \"int\"}, {\"name\": \"f2\", \"type\": \"string\"} ]}"
  tags              = local.tags
}
resource "aws_glue_data_quality_ruleset" "this" {
  name        = "mod-rules"
  description = "d"
  ruleset     = "Rules = [Completeness \"id\" between 0.4 and 0.8]"
  target_table {
    database_name = aws_glue_catalog_database.this.name
    table_name    = aws_glue_catalog_table.this.name
  }
}
resource "aws_glue_resource_policy" "this" {
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["glue:CreateTable"], Principal = { AWS = "*" }, Resource = "arn:aws:glue:eu-west-1:${data.aws_caller_identity.this.account_id}:*" }] })
}
resource "aws_glue_partition" "p" {
  database_name    = aws_glue_catalog_database.this.name
  table_name       = aws_glue_catalog_table.this.name
  partition_values = ["2026-01-01"]
  storage_descriptor {
    location = "s3://${aws_s3_bucket.b.bucket}/t/day=2026-01-01"
    columns {
      name = "id"
      type = "bigint"
    }
  }
}
