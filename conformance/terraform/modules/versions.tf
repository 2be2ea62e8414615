terraform {
  required_providers { aws = { source = "hashicorp/aws", version = "5.100.0" } }
}
provider "aws" { region = "eu-west-1" }
data "aws_caller_identity" "this" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}
locals { tags = { Environment = "dev", Project = "data", ManagedBy = "terraform" } }
