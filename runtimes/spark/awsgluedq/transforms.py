"""EvaluateDataQuality: rulesets of the Data Quality Definition Language over a frame.

AWS's own parser and evaluation (dqdl, and the DQDL part of deequ) do the work, on Apache Spark; `auto` moves. What they lack, anomalies,
dynamic rules and rules about files, is refused by name before anything is evaluated.
"""

import re
import sys
import time

from awsglue.dynamicframe import DynamicFrame, DynamicFrameCollection
from awsglue.transforms import GlueTransform
from lakerun_spark import decide

_UNSUPPORTED = "Rule (or nested rule) not supported due to: "
#: Rules that look back at earlier runs: `RowCount > avg(last(10))`.
_DYNAMIC = re.compile(r"\b(last|index)\s*\(")
_THRESHOLD = re.compile(r"\s+with threshold\s+(between\s+\S+\s+and\s+\S+|[<>=!]+\s*\S+)")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_VERDICTS = ("DataQualityRulesPass", "DataQualityRulesFail", "DataQualityRulesSkip", "DataQualityEvaluationResult")
_PUBLISHING = {"dataQualityEvaluationContext": "obeyed", "enableDataQualityResultsPublishing": "obeyed"}
_ADDITIONAL = {"compositeRuleEvaluation.method": "obeyed"}
_NO_EFFECT = {"enableDataQualityCloudWatchMetrics", "resultsS3Prefix", "observations.scope", "performanceTuning.caching"}

if decide.on_connect():
    decide.move("module:awsgluedq")


class EvaluateDataQuality(GlueTransform):
    def __call__(self, frame, ruleset, publishing_options=None, additional_options=None, additional_data_sources=None, transformation_ctx="", **more):
        """One row a rule: Rule, Outcome, FailureReason, EvaluatedMetrics, EvaluatedRule."""
        _check(publishing_options, additional_options, more)
        outcomes = _Evaluation(frame, ruleset, additional_data_sources).outcomes()
        _publish(publishing_options, ruleset, outcomes)
        return DynamicFrame(_outcome_frame(frame, outcomes), frame.glue_ctx, transformation_ctx)

    def process_rows(self, frame, ruleset, publishing_options=None, additional_options=None, additional_data_sources=None, transformation_ctx="", **more):
        """`originalData`, `ruleOutcomes`, and `rowLevelOutcomes`: each record with the rules that it passes, fails and does not concern."""
        _check(publishing_options, additional_options, more)
        evaluation = _Evaluation(frame, ruleset, additional_data_sources)
        outcomes, records = evaluation.rows()
        _publish(publishing_options, ruleset, outcomes)
        frames = {"originalData": frame.toDF(), "ruleOutcomes": _outcome_frame(frame, outcomes), "rowLevelOutcomes": records}
        return DynamicFrameCollection({key: DynamicFrame(df, frame.glue_ctx, key) for key, df in frames.items()}, frame.glue_ctx)


class EvaluateDataQualityMultiFrame(GlueTransform):
    def __call__(self, *_, **__):
        raise NotImplementedError("EvaluateDataQualityMultiFrame is not in Lakerun: EvaluateDataQuality takes additional_data_sources")


def _check(publishing, additional, more):
    if str((additional or {}).get("compositeRuleEvaluation.method", "DATASET")).upper() != "DATASET":
        raise NotImplementedError("compositeRuleEvaluation.method ROW is not in Lakerun: DATASET is")
    known = {**_PUBLISHING, **_ADDITIONAL}
    for name in [*(publishing or {}), *(additional or {}), *more]:
        if name not in known:
            why = "has no effect in Lakerun" if name in _NO_EFFECT else "is unknown and has no effect"
            print(f"lakerun: data quality option {name} {why}", file=sys.stderr)


class _Evaluation:
    """A ruleset over a frame, in Apache Spark's JVM."""

    def __init__(self, frame, ruleset, sources):
        if decide.on_connect():
            raise NotImplementedError("awsgluedq needs Apache Spark in the run itself: start the job with --lakerun-engine spark, submit or auto")
        self._frame, self._spark, self._ruleset = frame.toDF(), frame.glue_ctx.spark_session, ruleset
        jvm = self._spark._jvm
        self._deequ = jvm.com.amazon.deequ.dqdl.EvaluateDataQuality
        self.rules = _parsed(jvm, ruleset)
        others = {alias: getattr(other, "toDF", lambda other=other: other)() for alias, other in (sources or {}).items()}
        # What CustomSql names.
        for alias, df in {"primary": self._frame, **others}.items():
            df.createOrReplaceTempView(alias)
        known = jvm.java.util.HashMap()
        for alias, df in others.items():
            known.put(alias, df._jdf)
        self._others = jvm.PythonUtils.toScalaMap(known)

    def outcomes(self):
        return self._ordered(self._deequ.process(self._frame._jdf, self._ruleset, self._others))

    def rows(self):
        found = self._deequ.processRows(self._frame._jdf, self._ruleset, self._others)
        # deequ leaves its helper columns where two rules share a check.
        records = self._python(found.apply("rowLevelOutcomes")).select(*[f"`{name}`" for name in self._frame.columns], *_VERDICTS)
        return self._ordered(found.apply("ruleOutcomes")), records

    def _python(self, frame):
        from pyspark.sql import DataFrame

        return DataFrame(frame, self._spark)

    def _ordered(self, frame):
        """In the ruleset's order; parts of composite rules have no row of their own."""
        found = {row["Rule"]: row.asDict() for row in self._python(frame).collect()}
        for rule in self.rules:
            reason = (found.get(rule) or {}).get("FailureReason") or ""
            if rule not in found or reason.startswith(_UNSUPPORTED):
                raise NotImplementedError(f"the rule {rule} is not in Lakerun" + (f": {reason[len(_UNSUPPORTED):]}" if reason else ""))
        return [self._judged({**found[rule], "EvaluatedRule": found[rule]["EvaluatedRule"] or rule}) for rule in self.rules]

    def _judged(self, outcome):
        """deequ passes over `with threshold`: the part of the rows that hold is compared here."""
        rule = outcome["Rule"]
        threshold = _THRESHOLD.search(_without_texts(rule))
        if threshold is None:
            return outcome
        if rule.startswith("("):
            raise NotImplementedError(f"the rule {rule} is not in Lakerun: a threshold within a composite rule")
        metric = next((name for name in outcome["EvaluatedMetrics"] if name.endswith(".Compliance")), None)
        if metric is not None:
            value = outcome["EvaluatedMetrics"][metric]
        else:
            metric, value = f"Column.{_first_text(rule)}.{rule.split()[0]}.Compliance", self._compliance(rule)
        passed = _holds(value, threshold.group(1))
        reason = None if passed else f"Value: {value} does not meet the constraint requirement!"
        return {**outcome, "Outcome": "Passed" if passed else "Failed", "FailureReason": reason, "EvaluatedMetrics": {metric: value}}

    def _compliance(self, rule):
        """The part of the rows that the rule holds for, without its threshold."""
        from pyspark.sql import functions as F

        where = re.search(r'\s+where\s+"((?:[^"\\]|\\.)*)"', rule)
        frame = self._frame.where(where.group(1)) if where else self._frame
        bare = rule.replace(where.group(0), "") if where else rule
        bare = bare[: _THRESHOLD.search(_without_texts(bare)).start()]
        records = self._python(self._deequ.processRows(frame._jdf, f"Rules = [ {bare} ]", self._others).apply("rowLevelOutcomes"))
        total, skipped, passed = records.agg(F.count("*"), F.sum(F.size("DataQualityRulesSkip")), F.sum(F.size("DataQualityRulesPass"))).first()
        if skipped:
            raise NotImplementedError(f"the rule {rule} is not in Lakerun: a threshold on a rule that rows do not have")
        return passed / total if total else 1.0


def _parsed(jvm, ruleset):
    from py4j.protocol import Py4JJavaError

    try:
        parsed = jvm.software.amazon.glue.dqdl.parser.DQDLParser().parse(ruleset)
    except Py4JJavaError as error:
        raise ValueError(f"the ruleset is not valid DQDL: {error.java_exception.getMessage()}") from None
    rules = [rule.toString() for rule in parsed.getRules()]
    for rule in rules:
        if _DYNAMIC.search(_without_texts(rule)):
            raise NotImplementedError(f"the rule {rule} looks back at earlier runs: dynamic rules are not in Lakerun")
    return rules


def _without_texts(rule):
    """The rule with its quoted texts blanked, each as long as it was."""
    return _TEXT.sub(lambda text: '"' + " " * (len(text.group(0)) - 2) + '"', rule)


def _first_text(rule):
    found = _TEXT.search(rule)
    return found.group(0)[1:-1] if found else "*"


def _holds(value, condition):
    """DQDL's `between` leaves its bounds out."""
    bounds = re.match(r"between\s+(\S+)\s+and\s+(\S+)", condition)
    if bounds:
        return float(bounds.group(1)) < value < float(bounds.group(2))
    operator, number = re.match(r"([<>=!]+)\s*(\S+)", condition).groups()
    number = float(number)
    return {">": value > number, ">=": value >= number, "<": value < number, "<=": value <= number, "=": value == number, "!=": value != number}[operator]


def _outcome_frame(frame, outcomes):
    schema = "Rule string, Outcome string, FailureReason string, EvaluatedMetrics map<string,double>, EvaluatedRule string"
    names = ("Rule", "Outcome", "FailureReason", "EvaluatedMetrics", "EvaluatedRule")
    return frame.glue_ctx.spark_session.createDataFrame([tuple(row[name] for name in names) for row in outcomes], schema)


def _publish(options, ruleset, outcomes):
    """What GetDataQualityResult tells when the run is over."""
    if str((options or {}).get("enableDataQualityResultsPublishing", False)).lower() != "true":
        return
    from lakerun_spark import launcher

    launcher.quality.append({"context": (options or {}).get("dataQualityEvaluationContext"), "at": int(time.time() * 1000), "rules": [
        {"description": row["Rule"], "passed": row["Outcome"] == "Passed", "message": row["FailureReason"], "metrics": launcher.finite(row["EvaluatedMetrics"] or {})}
        for row in outcomes]})
