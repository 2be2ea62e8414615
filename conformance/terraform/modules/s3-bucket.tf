resource "aws_kms_key" "objects" {
  description             = "KMS key is used to encrypt bucket objects"
  deletion_window_in_days = 7
}
resource "aws_s3_bucket" "log" {
  bucket        = "mod-logs-${data.aws_caller_identity.this.account_id}"
  force_destroy = true
  tags          = local.tags
}
resource "aws_s3_bucket_ownership_controls" "log" {
  bucket = aws_s3_bucket.log.id
  rule { object_ownership = "BucketOwnerPreferred" }
}
data "aws_canonical_user_id" "this" {}
resource "aws_s3_bucket_acl" "log" {
  bucket     = aws_s3_bucket.log.id
  depends_on = [aws_s3_bucket_ownership_controls.log]
  access_control_policy {
    grant {
      permission = "FULL_CONTROL"
      grantee {
        type = "CanonicalUser"
        id   = data.aws_canonical_user_id.this.id
      }
    }
    grant {
      permission = "WRITE"
      grantee {
        type = "Group"
        uri  = "http://acs.amazonaws.com/groups/s3/LogDelivery"
      }
    }
    owner { id = data.aws_canonical_user_id.this.id }
  }
}
resource "aws_s3_bucket" "this" {
  bucket              = "mod-main-${data.aws_caller_identity.this.account_id}"
  force_destroy       = true
  object_lock_enabled = true
  tags                = local.tags
}
resource "aws_s3_bucket_logging" "this" {
  bucket        = aws_s3_bucket.this.id
  target_bucket = aws_s3_bucket.log.id
  target_prefix = "log/"
  target_object_key_format {
    partitioned_prefix { partition_date_source = "DeliveryTime" }
  }
}
resource "aws_s3_bucket_request_payment_configuration" "this" {
  bucket = aws_s3_bucket.this.id
  payer  = "BucketOwner"
}
resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket_cors_configuration" "this" {
  bucket = aws_s3_bucket.this.id
  cors_rule {
    id              = "r1"
    allowed_methods = ["PUT", "POST"]
    allowed_origins = ["https://modules.tf"]
    allowed_headers = ["*"]
    expose_headers  = ["ETag"]
    max_age_seconds = 3000
  }
}
resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      kms_master_key_id = aws_kms_key.objects.arn
      sse_algorithm     = "aws:kms"
    }
  }
}
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket     = aws_s3_bucket.this.id
  depends_on = [aws_s3_bucket_versioning.this]
  rule {
    id     = "log"
    status = "Enabled"
    filter {
      and {
        prefix                   = "log/"
        object_size_greater_than = 200000
        object_size_less_than    = 500000
        tags                     = { some = "value", another = "value2" }
      }
    }
    transition {
      days          = 30
      storage_class = "ONEZONE_IA"
    }
    transition {
      days          = 60
      storage_class = "GLACIER"
    }
    expiration { days = 90 }
    noncurrent_version_expiration {
      newer_noncurrent_versions = 5
      noncurrent_days           = 30
    }
  }
  rule {
    id     = "log1"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload { days_after_initiation = 7 }
    noncurrent_version_transition {
      noncurrent_days = 30
      storage_class   = "STANDARD_IA"
    }
  }
  rule {
    id     = "log2"
    status = "Disabled"
    filter { prefix = "log2/" }
    expiration { expired_object_delete_marker = true }
  }
}
resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
resource "aws_s3_bucket_ownership_controls" "this" {
  bucket     = aws_s3_bucket.this.id
  depends_on = [aws_s3_bucket_policy.this, aws_s3_bucket_public_access_block.this]
  rule { object_ownership = "BucketOwnerEnforced" }
}
data "aws_iam_policy_document" "combined" {
  statement {
    sid     = "denyInsecureTransport"
    effect  = "Deny"
    actions = ["s3:*"]
    resources = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
  statement {
    sid     = "denyOutdatedTLS"
    effect  = "Deny"
    actions = ["s3:*"]
    resources = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "NumericLessThan"
      variable = "s3:TlsVersion"
      values   = ["1.2"]
    }
  }
  statement {
    sid       = "denyUnencryptedObjectUploads"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.this.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Null"
      variable = "s3:x-amz-server-side-encryption"
      values   = [true]
    }
  }
}
resource "aws_s3_bucket_policy" "this" {
  bucket     = aws_s3_bucket.this.id
  policy     = data.aws_iam_policy_document.combined.json
  depends_on = [aws_s3_bucket_public_access_block.this]
}
resource "aws_sns_topic" "t" { name = "mod-s3-events" }
resource "aws_sqs_queue" "q" { name = "mod-s3-events" }
data "aws_iam_policy_document" "sqs" {
  statement {
    sid       = "AllowSQSS3BucketNotification"
    effect    = "Allow"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.q.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.this.arn]
    }
  }
}
resource "aws_sqs_queue_policy" "allow" {
  queue_url = aws_sqs_queue.q.id
  policy    = data.aws_iam_policy_document.sqs.json
}
resource "aws_s3_bucket_notification" "this" {
  bucket      = aws_s3_bucket.this.id
  eventbridge = true
  queue {
    id            = "sqs1"
    queue_arn     = aws_sqs_queue.q.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "prefix2/"
    filter_suffix = ".txt"
  }
  depends_on = [aws_sqs_queue_policy.allow]
}
resource "aws_s3_object" "o" {
  bucket                 = aws_s3_bucket.this.id
  key                    = "a/b.json"
  content                = jsonencode({ a = 1 })
  content_type           = "application/json"
  storage_class          = "STANDARD"
  server_side_encryption = "aws:kms"
  kms_key_id             = aws_kms_key.objects.arn
  bucket_key_enabled     = true
  force_destroy          = true
  tags                   = local.tags
  depends_on             = [aws_s3_bucket_versioning.this, aws_s3_bucket_server_side_encryption_configuration.this, aws_s3_bucket_ownership_controls.this]
}
