"""Starts the sources and Lakerun, deploys the pipeline, runs it, shows it, and says what came out."""
import argparse
import datetime
import json
import pathlib
import signal
import sys
import time

from . import check, crash, scene
from .progress import Progress


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if args.crash:
        return crash.run(args)
    began = time.monotonic()
    show = scene.Scene(args)
    done = False
    summary = {"from": args.first.isoformat(), "to": args.last.isoformat(), "break": args.breaks}
    try:
        show.open()
        summary["setup_seconds"] = round(time.monotonic() - began, 2)
        failures = run(args, show, summary)
        summary["passed"] = not failures
        (show.work / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        if args.asserts:
            print(f"\n{'All assertions hold.' if not failures else f'{len(failures)} assertions do not hold.'} {show.work / 'summary.json'}")
        if failures or args.exit:
            return 1 if failures else 0
        done = True
        where_to_look(show)
        signal.pause()
    except KeyboardInterrupt:
        # Ctrl-C is how a demo that is over is left; before that it cuts something short, and a script has to see that.
        print("\nStopping." if done else "\nInterrupted before the end.")
        return 0 if done else 130
    finally:
        show.close()


def run(args, show, summary):
    """One run and, if asked for, all assertions; gives those that do not hold."""
    print(f"\nThe pipeline runs: {show.console}\n")
    began = time.monotonic()
    arn = show.start()
    execution, events = Progress(show.states, arn, show.definition).follow()
    summary.update(status=execution["status"], pipeline_seconds=round(time.monotonic() - began, 2),
                   server_resident_mib_after_run=show.platform.resident_mib())
    print(f"\n{execution['status']} after {summary['pipeline_seconds']} s")
    checks = check.Checks(show, summary)
    if args.breaks:
        checks.broken(execution)
    else:
        if execution["status"] != "SUCCEEDED":
            print(f"  {execution.get('error')}: {execution.get('cause')}")
            checks.that("the pipeline succeeds", False, execution["status"])
        else:
            checks.overhead(events)
            results(show)
            if args.asserts:
                checks.everything(execution)
    if args.asserts or args.breaks:
        return checks.failures
    return checks.failures if execution["status"] != "SUCCEEDED" else []


def results(show):
    out = show.outputs
    refined, forecast = out["RefinedDatabase"], out["ForecastDatabase"]
    print("\nWhat came out")
    for database, table, what in ((out["LandingDatabase"], "flights", "landing"), (refined, out["RefinedTable"], "refined"), (forecast, out["ForecastTable"], "forecast")):
        count = show.query(f"SELECT count(*) AS rows FROM {table}", database).rows[0]
        print(f"  {what:<10} {database}.{table:<20} {count:>9,} rows")
    worst = show.query(f"SELECT origin, dest, month, flights, mean_arr_delay FROM {out['ViewName']} WHERE flights >= 20 ORDER BY mean_arr_delay DESC LIMIT 3", refined)
    for row in worst.itertuples():
        print(f"  worst      {row.origin} to {row.dest} in month {row.month}: {row.flights} flights, {row.mean_arr_delay:.1f} minutes late on average")


def where_to_look(show):
    out = show.outputs
    print(f"""
Look at it       {show.console}
Use it           eval "$({show.platform.binary} env --data {show.platform.data})"
                 aws s3 ls s3://{out['RefinedBucket']}/flights/ --recursive
                 aws stepfunctions list-executions --state-machine-arn {out['StateMachineArn']}
                 aws dynamodb scan --table-name {out['StateTable']} --max-items 3
Start it again   echo go > /tmp/go && aws s3 cp /tmp/go s3://{out['InboxBucket']}/

It runs until Ctrl-C.""", flush=True)


def arguments():
    day = datetime.date.fromisoformat
    p = argparse.ArgumentParser(prog="cargo xtask demo", description=__doc__)
    p.add_argument("--exit", action="store_true", help="end when the run has ended")
    p.add_argument("--assert", dest="asserts", action="store_true", help="check the results against figures computed from the package")
    p.add_argument("--from", dest="first", type=day, default=day("2013-01-01"), metavar="DAY", help="first day, 2013-01-01")
    p.add_argument("--to", dest="last", type=day, default=day("2013-12-31"), metavar="DAY", help="last day, 2013-12-31")
    p.add_argument("--break", dest="breaks", choices=scene.BREAKS, help="break one thing first")
    p.add_argument("--crash", action="store_true", help="kill the server inside each task and elsewhere, and compare")
    p.add_argument("--store", metavar="URL", help="postgres://USER@HOST/DATABASE for the records, in a new schema of it, instead of files")
    p.add_argument("--binary", type=pathlib.Path, help=argparse.SUPPRESS)
    p.add_argument("--work", type=pathlib.Path, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.first > args.last:
        p.error("--from must not be after --to")
    return args


if __name__ == "__main__":
    sys.exit(main())
