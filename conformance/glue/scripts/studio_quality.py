"""As the visual editor writes a check of quality: rules in DQDL, their outcomes as a frame, rows with their verdicts."""
from awsgluedq.transforms import EvaluateDataQuality
source = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/invoices/"]}, "csv", {"withHeader": True}, transformation_ctx="source")
typed = source.apply_mapping([("invoice", "string", "invoice", "int"), ("customer", "string", "customer", "string"), ("net", "string", "net", "double"), ("paid", "string", "paid", "string")])
ruleset = """Rules = [
    RowCount between 3 and 100,
    IsComplete "invoice",
    IsUnique "invoice",
    Completeness "customer" > 0.9,
    ColumnValues "net" between 0 and 5000,
    ColumnValues "paid" in ["true", "false"],
    ColumnExists "net",
    Mean "net" > 10
]"""
result = EvaluateDataQuality.apply(frame=typed, ruleset=ruleset, publishing_options={"dataQualityEvaluationContext": "invoices", "enableDataQualityCloudWatchMetrics": False, "enableDataQualityResultsPublishing": False})
outcomes = result.toDF()
tell([rows(outcomes.select("Rule", "Outcome")), outcomes.columns])
