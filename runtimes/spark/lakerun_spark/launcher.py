"""Runs one Glue job: starts the engine in this process, then the script as __main__ with Glue's sys.argv.

    python -m lakerun_spark.launcher glueetl|pythonshell SCRIPT [--KEY VALUE ...]     (SCRIPT: a file or s3://bucket/key)

The outcome goes to the file named by LAKERUN_RESULT: {"error": null, "bookmark": ...}, {"error": "SyntaxError: invalid syntax (job.py, line 3)"}, or
{"moved": "function:soundex"}: nothing is decided, the run has to start over on Apache Spark for this reason (`decide`).
"""

import atexit
import json
import math
import os
import sys
import threading
import traceback
import types
import zipfile


def main():
    kind, script, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
    error = None
    report_exits()
    forget_farewells()
    try:
        script = fetch(script)
        sys.argv = [script, *arguments]
        sys.path[0] = os.path.dirname(os.path.abspath(script))
        with open(script, "rb") as file:
            code_text = file.read()
        code = compile(code_text, script, "exec", dont_inherit=True)
        if kind != "pythonshell":
            start(arguments, code_text, catalog=(_value(arguments, "--enable-glue-datacatalog") or "false").lower() != "false")
        add_py_files(_value(arguments, "--extra-py-files"))
        module = types.ModuleType("__main__")
        module.__file__ = script
        module.__builtins__ = __builtins__
        sys.modules["__main__"] = module
        exec(code, module.__dict__)
    except SystemExit as stop:
        if stop.code not in (None, 0):
            error = f"SystemExit: {stop.code}"
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)
    except LaunchError as failure:
        error = f"LAUNCH ERROR | {failure}"
        print(error, file=sys.stderr)
    except BaseException as failure:  # noqa: BLE001 - whatever the script raises is the run's error
        if os.environ.get("LAKERUN_ENGINE") == "auto" and kind != "pythonshell" and _of_the_client(failure):
            from . import decide

            decide.move(f"{type(failure).__name__} in PySpark's client")
        error = describe(failure)
        _print_traceback(failure)
    wind_down()
    finish(error)


class LaunchError(Exception):
    """The script could not be had: the job's fault, not the script's."""


def fetch(location):
    """The script as a file of its own name in the working folder."""
    if not location.startswith(("s3://", "s3a://")):
        return location
    from botocore.exceptions import ClientError

    from . import s3

    bucket, key = s3.split(location)
    path = os.path.abspath(key.rpartition("/")[2])
    try:
        body = s3.client().get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise LaunchError(f"File Name: {location} {error}") from None
    with open(path, "wb") as file:
        file.write(body)
    return path


def describe(failure):
    """The last line of the traceback, without the module of the exception's class: what Glue shows as ErrorMessage."""
    text = str(failure).strip()
    name = type(failure).__name__
    if os.environ.get("AWS_SERVER_SIDE_ENCRYPTION") == "aws:kms" and "HTTPS must be used" in text:
        # The SDK's words are of another kind of keys.
        text = "Apache Spark's S3 client asks for SSE-KMS, which the run's security configuration wants, over HTTPS only: --lakerun-engine sail does over HTTP, too"
    return f"{name}: {text}" if text else name


def _of_the_client(failure):
    """Whether it was raised below PySpark or our own layer: Apache Spark may do what they cannot."""
    frames, here = failure.__traceback__, os.path.dirname(os.path.abspath(__file__))
    last = None
    while frames is not None:
        last, frames = frames.tb_frame.f_code.co_filename, frames.tb_next
    ours = (os.path.join(os.path.dirname(here), "awsglue"), here)
    return isinstance(failure, (AttributeError, ImportError, TypeError)) or (
        last is not None and last != __file__ and (os.sep + "pyspark" + os.sep in last or last.startswith(ours)))


def _print_traceback(failure):
    frames = failure.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    traceback.print_exception(type(failure), failure, frames, file=sys.stderr)


#: The system's own, which ends this process whatever a script's `os._exit` does before.
_exit = os._exit


def report_exits():
    """A script may end without coming back here: by `os._exit`, or by becoming another program. That it did so itself, and with what
    was committed, is reported first: a process that is gone with status 0 and without a report has not ended well."""
    global _own
    own = _own = os.getpid()

    def leave(status):
        # Forks, those of multiprocessing among them, end so too.
        if os.getpid() == own:
            finish(None if status == 0 else f"Command failed with exit code {status & 0xFF}", status=status)
        _exit(status)

    def becoming(engine):
        def become(*arguments):
            if os.getpid() == own:
                # What the other program makes of it, its status tells.
                _report({"error": None, "bookmark": bookmark, "quality": quality})
            return engine(*arguments)

        return become

    os._exit, os.execv, os.execve = leave, becoming(os.execv), becoming(os.execve)


#: Packages whose farewells to an engine are left out: nothing is kept in this process, and a plan of theirs would count as the script's.
_ENGINES = {"pyspark", "py4j", "grpc", "pysail"}


def forget_farewells():
    register = atexit.register
    if getattr(register, "is_ours", False):
        return

    def registered(function, *arguments, **named):
        if sys._getframe(1).f_globals.get("__name__", "").partition(".")[0] in _ENGINES:
            return function
        return register(function, *arguments, **named)

    registered.is_ours = True
    atexit.register = registered


def wind_down():
    """What Python does at its end: waits for the threads that are no daemons, then calls what `atexit` has been given."""
    for step in (threading._shutdown, atexit._run_exitfuncs):
        try:
            step()
        except BaseException:  # noqa: BLE001 - as Python, which says it and goes on
            traceback.print_exc()


#: What `Job.commit` left of the job's bookmark.
bookmark = None
#: What `EvaluateDataQuality` found and is to be published.
quality = []


#: The process whose end is the run's: forks of it end for themselves.
_own = None


def finish(error, moved=None, status=None):
    if _own not in (None, os.getpid()):
        if error or moved:
            print(f"lakerun: a process that the script has forked ends: {error or moved}", file=sys.stderr, flush=True)
        _exit(status if status is not None else 1 if error or moved else 0)
    report = {"moved": moved} if moved else {"error": error, "bookmark": None if error else bookmark, "quality": quality}
    try:
        _report(report)
    except (OSError, TypeError, ValueError) as failure:
        # Without its report nothing is known of the run.
        error = f"{error + '; ' if error else ''}the run's report cannot be written: {describe(failure)}"
        print(f"lakerun: {error}", file=sys.stderr)
        moved, status = None, None
        try:
            _report({"error": error})
        except OSError:
            pass  # The exit status tells it.
    sys.stdout.flush()
    sys.stderr.flush()
    # The engine's threads and the client's channel need no farewell: nothing is kept in this process.
    _exit(status if status is not None else 1 if error or moved else 0)


def finite(metrics):
    """The metrics that JSON has numbers for: the correlation with a constant column is none."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            print(f"lakerun: the metric {name} is {value}: it is left out of the results that are published", file=sys.stderr)
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _report(report):
    """As JSON proper: its reader takes none of Python's NaN and Infinity."""
    path = os.environ.get("LAKERUN_RESULT")
    if path:
        text = json.dumps(report, allow_nan=False)
        with open(path + ".tmp", "w") as file:
            file.write(text)
        os.replace(path + ".tmp", path)


def check(arguments):
    """Arguments that neither engine would obey are refused; files that the script wants beside it are fetched."""
    formats = _value(arguments, "--datalake-formats")
    if formats:
        raise LaunchError(f"--datalake-formats {formats} is not in Lakerun: plain Parquet, ORC, Avro, JSON and CSV are")
    for location in filter(None, (part.strip() for part in (_value(arguments, "--extra-files") or "").split(","))):
        fetch(location)


def jars(arguments):
    """--extra-jars, fetched beside the script: only Apache Spark can load them."""
    wanted = filter(None, (part.strip() for part in (_value(arguments, "--extra-jars") or "").split(",")))
    return [os.path.abspath(fetch(location)) for location in wanted]


def start(arguments, source, catalog):
    """The engine that LAKERUN_ENGINE names: `sail`, `spark`, `auto` (Sail, as far as its answers are proven to be Spark's), or one
    that is elsewhere: `submit`, `connect`."""
    engine = os.environ.get("LAKERUN_ENGINE", "sail")
    check(arguments)
    if engine in ("submit", "connect"):
        from . import cluster

        cluster.start(engine, arguments, catalog)
        return
    if engine == "spark":
        from . import classic

        print("lakerun: this run's engine is Apache Spark", file=sys.stderr)
        classic.start(arguments, jars(arguments), catalog, (_value(arguments, "--user-jars-first") or "false").lower() == "true", source=source)
        return
    if _value(arguments, "--extra-jars") and engine == "sail":
        raise LaunchError("--extra-jars need Apache Spark: start the job with --lakerun-engine spark or auto")
    if _value(arguments, "--user-jars-first") and not _value(arguments, "--extra-jars"):
        print("lakerun: --user-jars-first has no effect without --extra-jars", file=sys.stderr)
    print("lakerun: this run's engine is Sail" + (", as far as its answers are proven" if engine == "auto" else ""), file=sys.stderr)
    start_engine(catalog)
    from . import compat, settings

    compat.configure(settings.of(arguments))
    if engine == "auto":
        from . import decide

        decide.install(source)
        if _value(arguments, "--extra-jars"):
            decide.move("argument:--extra-jars")


def start_engine(catalog=False):
    """Sail as a Spark Connect server in this process (0.1 s), on a port of its own; every new session goes there.
    With `catalog` (--enable-glue-datacatalog) its tables are those of the Glue Data Catalog."""
    if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"):
        os.environ.setdefault("AWS_ALLOW_HTTP", "true")
    os.environ.setdefault("SAIL_PARQUET__COMPRESSION", "snappy")
    os.environ.setdefault("RUST_LOG", "error")
    if catalog:
        region, endpoint = os.environ.get("AWS_REGION", "us-east-1"), os.environ.get("AWS_ENDPOINT_URL")
        where = f', endpoint_url="{endpoint}"' if endpoint else ""
        os.environ["SAIL_CATALOG__LIST"] = f'[{{name="AwsDataCatalog", type="glue", region="{region}"{where}}}]'
    # Data sources and functions of the script run inside the engine, with this interpreter's modules.
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    host, port = server.listening_address
    os.environ["SPARK_REMOTE"] = f"sc://{host}:{port}"
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    start_engine.server = server  # keeps it alive

    from . import compat, context

    context.install()
    compat.install()


def add_py_files(names):
    """--extra-py-files: .py, .zip and .whl files in S3, put on sys.path."""
    for name in filter(None, (part.strip() for part in (names or "").split(","))):
        path = name
        if name.startswith(("s3://", "s3a://")):
            from . import s3

            bucket, key = s3.split(name)
            folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), "py-files")
            os.makedirs(folder, exist_ok=True)
            path = os.path.join(folder, key.rpartition("/")[2])
            s3.client().download_file(bucket, key, path)
        if path.endswith((".zip", ".whl")) and zipfile.is_zipfile(path):
            sys.path.insert(1, path)
        else:
            sys.path.insert(1, os.path.dirname(path))


def _value(arguments, name):
    return next((arguments[i + 1] for i in range(len(arguments) - 1) if arguments[i] == name), None)


if __name__ == "__main__":
    # Run as a module, this file is __main__; the script must become that instead.
    from lakerun_spark import launcher

    launcher.main()
