#!/usr/bin/env python3
"""Three nodes on one PostgreSQL and one bucket, for a while, under a load that they bear with ease, with a fault every minute: the owner
killed, frozen and woken, drained; PostgreSQL crashed; the bucket's server frozen; the node that does the others' work killed. In the end
every acknowledged execution has ended once with its effect once, every acknowledged object has its bytes; and nothing has been left
over: no process, no file of work, no open file that grows, no lease, no task. Memory of what has run all the while is printed, and held
to 5 % of growth between the first and the last third where the run is 30 minutes or longer.

    soak.py LAKERUN [MINUTES]
"""
import glob
import json
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from run import LEASE, DEFINITION, Load, Node, clients, function, judge, role_of_machine, until  # noqa: E402
from postgresql import PostgreSQL  # noqa: E402

import botocore.exceptions  # noqa: E402

SCHEMA = "soak"
STANDBY = (200, "standby: passes on\n")
LONG = 30
GROWTH = 1.05
# Connections come and go; a leak of one a fault would pass it in half an hour.
OPEN_FILES = 16


class Calls(threading.Thread):
    """Functions and queries, one after the other; what is turned away is turned away."""

    def __init__(self, nodes, keys):
        super().__init__(daemon=True)
        self.lambdas, self.athenas = [[clients(node, keys, name, 120) for node in nodes] for name in ("lambda", "athena")]
        self.answered, self.turned_away, self.stopping = 0, 0, False

    def run(self):
        n = 0
        while not self.stopping:
            try:
                if n % 10:
                    answer = self.lambdas[n % 2].invoke(FunctionName="f", Payload=json.dumps({"n": n}))
                    assert answer.get("FunctionError") or json.loads(answer["Payload"].read()) == n + 1, answer
                else:
                    self.athenas[n // 10 % 2].start_query_execution(QueryString=f"SELECT {n}", ResultConfiguration={"OutputLocation": "s3://things/results/"})
                self.answered += 1
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                self.turned_away += 1
            n += 1
            time.sleep(0.5)


class Process:
    """What a node's process takes, from /proc."""

    def __init__(self, node):
        pid = node.process.pid
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        self.since, self.resident = fields[19], int(fields[21]) * os.sysconf("SC_PAGESIZE") / 2**20
        self.files = len(os.listdir(f"/proc/{pid}/fd"))
        self.threads = int(fields[17])


def stands_by(node):
    until(f"{node.name} to stand by", lambda: node.get("/readyz") == STANDBY)


def owner_of(nodes):
    until("an owner", lambda: any(node.owns() for node in nodes))
    return sorted(nodes, key=lambda node: not node.owns())


def killed(nodes, **_):
    owner, other = owner_of(nodes)
    owner.kill()
    until("the other to serve", other.owns)
    owner.start()
    stands_by(owner)


def frozen(nodes, **_):
    owner, other = owner_of(nodes)
    owner.signal(signal.SIGSTOP)
    until("the other to serve", other.owns)
    time.sleep(LEASE)
    owner.signal(signal.SIGCONT)
    stands_by(owner)


def drained(nodes, **_):
    owner, other = owner_of(nodes)
    owner.signal(signal.SIGTERM)
    until("the other to serve", other.owns)
    owner.process.wait()
    owner.start()
    stands_by(owner)


def database_crashed(nodes, database, **_):
    database.stop("immediate")
    time.sleep(2)
    database.start()
    owner_of(nodes)


def bucket_frozen(bucket, **_):
    bucket.signal(signal.SIGSTOP)
    time.sleep(5)
    bucket.signal(signal.SIGCONT)


def worker_killed(worker, **_):
    worker.kill()
    worker.start()


FAULTS = [killed, database_crashed, frozen, bucket_frozen, drained, worker_killed]


def left_over(folder):
    """Processes that have to do with the folder."""
    found = []
    for place in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{place}/environ", "rb") as environment, open(f"{place}/cmdline", "rb") as line:
                told = line.read()
                if (folder.encode() in environment.read() + told or folder in os.readlink(f"{place}/cwd")) and place != f"/proc/{os.getpid()}":
                    found.append(told.replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def report(what, samples, minutes):
    """Judges a process that has run all the while."""
    steady = [sample for sample in samples if sample.since == samples[-1].since]
    third = max(len(steady) // 3, 1)
    first, last = ([sample for sample in part] for part in (steady[:third], steady[-third:]))
    middle = lambda part: statistics.median(sample.resident for sample in part)
    print(f"{what}: {middle(first):.0f} MiB, later {middle(last):.0f} MiB; open files {first[0].files} to {last[-1].files}; "
          f"threads {first[0].threads} to {last[-1].threads}; {len(steady)} samples")
    assert last[-1].files <= first[0].files + OPEN_FILES, f"{what} holds more and more open files"
    if minutes >= LONG and len(steady) >= LONG // 2:
        assert middle(last) <= GROWTH * middle(first), f"{what} takes more and more memory"


def main():
    binary, minutes = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else LONG
    database, folder = PostgreSQL(), tempfile.TemporaryDirectory()
    nodes = []
    try:
        bucket = Node(binary, folder.name, "bucket")
        nodes = [bucket]
        until("the bucket's server to serve", bucket.owns)
        clients(bucket, bucket.keys(), "s3").create_bucket(Bucket="shared")
        access, secret = bucket.keys()
        shared = {"LAKERUN_BUCKET_ENDPOINT": bucket.endpoint, "LAKERUN_BUCKET_ACCESS_KEY_ID": access, "LAKERUN_BUCKET_SECRET_ACCESS_KEY": secret}
        where = ("--store", database.url(SCHEMA), "--objects", "s3://shared/nodes")
        start = lambda name, **more: Node(binary, folder.name, name, *where, **shared, **more)
        one = start("one")
        nodes.append(one)
        until("the first node to serve", one.owns)
        two, worker = start("two"), start("worker", LAKERUN_ROLES='["compute"]')
        nodes += [two, worker]
        stands_by(two)
        keys = one.keys()
        tables, states = clients(one, keys, "dynamodb"), clients(one, keys, "stepfunctions")
        tables.create_table(TableName="effects", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
        role = role_of_machine(clients(one, keys, "iam"))
        machine = states.create_state_machine(name="soak", definition=json.dumps(DEFINITION), roleArn=role)["stateMachineArn"]
        clients(one, keys, "s3").create_bucket(Bucket="things")
        functions = clients(one, keys, "lambda")
        function(functions, clients(one, keys, "iam"))
        until("the function to be active", lambda: functions.get_function(FunctionName="f")["Configuration"]["State"] == "Active")
        begun = database.tasks(SCHEMA)
        loads, calls = [Load([one, two], keys, machine, lane, 0.2) for lane in range(2)], Calls([one, two], keys)
        for load in (*loads, calls):
            load.start()
        until("load", lambda: all(len(load.acknowledged) > 20 for load in loads))
        samples = {node.name: [] for node in nodes}
        ends, n = time.monotonic() + minutes * 60, 0
        while time.monotonic() < ends:
            next_fault = time.monotonic() + 60
            fault, at = FAULTS[n % len(FAULTS)], time.monotonic()
            fault(nodes=[one, two], database=database, bucket=bucket, worker=worker)
            acknowledged = [len(load.acknowledged) for load in loads]
            until("executions to go on", lambda: all(len(load.acknowledged) > before for load, before in zip(loads, acknowledged)))
            print(f"{n}: {fault.__name__}, all well after {time.monotonic() - at:.1f} s", flush=True)
            while time.monotonic() < min(next_fault, ends):
                time.sleep(min(10, max(next_fault - time.monotonic(), 0)))
                for node in nodes:
                    samples[node.name].append(Process(node))
            n += 1
        for load in (*loads, calls):
            load.stopping = True
        for load in (*loads, calls):
            load.join()
        judge([one, two], keys, [arn for load in loads for arn in load.acknowledged], [name for load in loads for name in load.objects])
        print(f"{calls.answered} functions and queries answered, {calls.turned_away} turned away; executions turned away {sum(load.turned_away for load in loads)}")
        until("what was asked for to be done", lambda: database.tasks(SCHEMA) <= begun)
        for node in nodes:
            report(node.name, samples[node.name], minutes)
        # The bucket's server last: the others write to it until they have ended.
        for node in (worker, two, one, bucket):
            node.signal(signal.SIGTERM)
            assert node.process.wait() == 0, node.name
        until("the last process to be gone", lambda: not left_over(folder.name))
        held = database.ask(SCHEMA, "SELECT owner FROM lakerun_lease WHERE until > now()")
        assert not held, f"a lease is held: {held}"
        work = [name for node in nodes for place in ("scratch", "node/scratch") for name in glob.glob(os.path.join(node.data, place, "*"))
                if os.path.isdir(name) and os.listdir(name)]
        assert not work, f"folders of work are left: {work}"
        print("no process, no lease, no task and no folder of work is left")
        print(f"{n} faults: {n} passed, 0 failed")
    except BaseException:
        for node in nodes:
            print(f"--- {node.name}\n{open(node.log).read()[-6000:]}", file=sys.stderr)
        raise
    finally:
        for node in nodes:
            node.signal(signal.SIGCONT)
            node.kill()
        database.close()
        folder.cleanup()


if __name__ == "__main__":
    main()
