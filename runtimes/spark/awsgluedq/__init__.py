"""AWS Glue Data Quality for scripts, same import paths: `from awsgluedq.transforms import EvaluateDataQuality`."""
