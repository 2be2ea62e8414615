resource "aws_kms_key" "primary" { description = "CMK for primary region" }
resource "aws_dynamodb_table" "this" {
  name                        = "mod-table"
  billing_mode                = "PROVISIONED"
  hash_key                    = "id"
  range_key                   = "title"
  read_capacity               = 5
  write_capacity              = 5
  stream_enabled              = true
  stream_view_type            = "NEW_AND_OLD_IMAGES"
  table_class                 = "STANDARD"
  deletion_protection_enabled = false
  restore_date_time           = null
  restore_source_name         = null
  restore_to_latest_time      = null
  ttl {
    enabled        = true
    attribute_name = "expires"
  }
  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = 35
  }
  attribute {
    name = "id"
    type = "N"
  }
  attribute {
    name = "title"
    type = "S"
  }
  attribute {
    name = "age"
    type = "N"
  }
  local_secondary_index {
    name               = "AgeLocal"
    range_key          = "age"
    projection_type    = "KEYS_ONLY"
  }
  global_secondary_index {
    name               = "TitleIndex"
    hash_key           = "title"
    range_key          = "age"
    projection_type    = "INCLUDE"
    non_key_attributes = ["id2"]
    write_capacity     = 10
    read_capacity      = 10
  }
  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.primary.arn
  }
  timeouts {
    create = "10m"
    delete = "10m"
    update = "60m"
  }
  tags = merge(local.tags, { Name = "mod-table" })
}
resource "aws_dynamodb_table" "ondemand" {
  name                        = "mod-ondemand"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  table_class                 = "STANDARD_INFREQUENT_ACCESS"
  deletion_protection_enabled = false
  on_demand_throughput {
    max_read_request_units  = 10
    max_write_request_units = 10
  }
  attribute {
    name = "id"
    type = "S"
  }
  point_in_time_recovery { enabled = false }
  ttl { enabled = false }
  server_side_encryption { enabled = false }
}
resource "aws_dynamodb_resource_policy" "this" {
  resource_arn = aws_dynamodb_table.this.arn
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Sid = "AllowDummyRoleAccess", Effect = "Allow", Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.this.account_id}:root" }, Action = "dynamodb:GetItem", Resource = aws_dynamodb_table.this.arn }] })
}
resource "aws_dynamodb_contributor_insights" "this" { table_name = aws_dynamodb_table.ondemand.name }
resource "aws_dynamodb_table_item" "i" {
  table_name = aws_dynamodb_table.ondemand.name
  hash_key   = "id"
  item       = jsonencode({ id = { S = "a" }, n = { N = "1" } })
}
data "aws_dynamodb_table" "read" { name = aws_dynamodb_table.this.name }
