"""An interactive session: starts the engine as a job does, then runs statements in one namespace, as they come.

    python -m lakerun_spark.repl glueetl [--KEY VALUE ...]

Lines of JSON come in, {"run": 1, "code": "..."} and {"cancel": 1}, and go out: {"ready": true} or {"failed": "..."}, then {"started": 1} and
{"done": 1, "output": {...}}, {"cancelled": 1}. A statement's output is what it prints and the value of its last expression, as Python's own
prompt shows it. What its children print goes to the session's log.
"""

import ast
import builtins
import io
import json
import linecache
import os
import queue
import signal
import sys
import threading
import traceback
import types

#: Characters of what a statement prints that are kept; of more, the first and the last.
MOST = 1 << 20


def main():
    kind, arguments = sys.argv[1], sys.argv[2:]
    told = os.fdopen(os.dup(1), "w", buffering=1)
    # Whatever writes to the descriptor itself does not speak to the server.
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    say = _Sayer(told)
    try:
        namespace = _begin(kind, arguments)
    except BaseException as failure:  # noqa: BLE001 - whatever keeps the session from being there
        traceback.print_exc()
        say(failed=f"{type(failure).__name__}: {failure}"[:2000])
        _leave(1)
    say(ready=True)
    session = Session(namespace, say)
    threading.Thread(target=session.listen, daemon=True).start()
    session.serve()
    _leave(0)


def _leave(status):
    sys.stderr.flush()
    os._exit(status)


class _Sayer:
    def __init__(self, file):
        self._file, self._lock = file, threading.Lock()

    def __call__(self, **what):
        with self._lock:
            self._file.write(json.dumps(what) + "\n")
            self._file.flush()


def _begin(kind, arguments):
    """The namespace of the statements, with `spark` and `sc` in it."""
    from . import launcher

    sys.argv = ["", *arguments]
    # As at a prompt: PySpark takes a main module without a file for a doctest of its own otherwise.
    sys.ps1 = ">>> "
    sys.path[0] = os.getcwd()
    module = types.ModuleType("__main__")
    module.__builtins__ = builtins
    sys.modules["__main__"] = module
    launcher.start(arguments, b"", catalog=(launcher._value(arguments, "--enable-glue-datacatalog") or "false").lower() != "false")
    launcher.add_py_files(launcher._value(arguments, "--extra-py-files"))
    from pyspark.context import SparkContext
    from pyspark.sql import SparkSession

    module.spark = SparkSession.builder.getOrCreate()
    module.sc = SparkContext.getOrCreate()
    return module.__dict__


class Session:
    def __init__(self, namespace, say):
        self._namespace, self._say = namespace, say
        self._waiting = queue.Queue()
        self._lock, self._running, self._cancelled = threading.Lock(), None, set()
        self._count, self._interruptible = 0, False
        # PySpark's own, in Apache Spark's driver, which cancels its jobs too.
        self._interrupt = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number, frame):
        if self._interruptible:
            self._interrupt(number, frame)

    def listen(self):
        """Takes orders, beside the statement that runs; at their end the session's."""
        main = threading.main_thread().ident
        for line in sys.stdin:
            order = json.loads(line)
            if "run" in order:
                self._waiting.put(order)
                continue
            with self._lock:
                self._cancelled.add(order["cancel"])
                if self._running == order["cancel"]:
                    signal.pthread_kill(main, signal.SIGINT)
        self._waiting.put(None)
        with self._lock:
            if self._running is not None:
                _leave(0)

    def serve(self):
        while (order := self._waiting.get()) is not None:
            self._one(order["run"], order["code"])

    def _one(self, number, code):
        with self._lock:
            dropped = number in self._cancelled
            if not dropped:
                self._running = number
        if dropped:
            self._say(cancelled=number)
            return
        self._say(started=number)
        try:
            self._interruptible = True
            output = run(code, self._namespace)
        except KeyboardInterrupt:
            # Between the statement's end and this one's.
            output = {"Status": "error"}
        finally:
            self._interruptible = False
        with self._lock:
            self._running = None
            cancelled = number in self._cancelled
        # Of Apache Spark's jobs, which the interrupt cancels too, the error may be another.
        if cancelled and output["Status"] != "ok":
            self._say(cancelled=number)
            return
        self._count += 1
        self._say(done=number, output={**output, "ExecutionCount": self._count})


def run(code, namespace):
    """Runs one statement: its output as GetStatement tells it."""
    printed, name = io.StringIO(), "<stdin>"
    before, sys.stdout = sys.stdout, printed
    linecache.cache[name] = (len(code), None, [line + "\n" for line in code.splitlines()], name)
    try:
        tree = compile(code, name, "exec", ast.PyCF_ONLY_AST)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), namespace)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
            if value is not None:
                print(repr(value))
        return {"Status": "ok", "Data": {"TextPlain": _cut(printed.getvalue()).rstrip("\n")}}
    except BaseException as failure:  # noqa: BLE001 - the session goes on
        lines = traceback.format_exception(type(failure), failure, _own(failure.__traceback__))
        return {"Status": "error", "ErrorName": type(failure).__name__, "ErrorValue": _cut(str(failure)), "Traceback": [_cut(line) for line in lines],
                **({"Data": {"TextPlain": _cut(printed.getvalue()).rstrip("\n")}} if printed.getvalue() else {})}
    finally:
        sys.stdout = before


def _own(frames):
    """The statement's frames, without those of this file."""
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return frames


def _cut(text):
    if len(text) <= MOST:
        return text
    return f"{text[: MOST // 2]}\n... {len(text) - MOST} characters are left out ...\n{text[-MOST // 2 :]}"


if __name__ == "__main__":
    from lakerun_spark import repl

    repl.main()
