import assert from "node:assert/strict";
import { test } from "node:test";
import { toneOf } from "./tone.ts";

test("a status has the tone of its whole words", () => {
  const check = (tone: string, statuses: string) => { for (const status of statuses.split(" ")) assert.equal(toneOf(status), tone, status); };
  check("failed", "FAILED TIMED_OUT TIMEOUT ERROR EXPIRED UPDATE_ROLLBACK_COMPLETE RollingBack ALARM DEAD_LETTERS FULL denied explicitDeny implicitDeny");
  check("idle", "INACTIVE Inactive DEACTIVATED DISABLED OutOfService NOT_CHECKED INSUFFICIENT_DATA CREATED MODIFIED");
  check("succeeded", "SUCCEEDED COMPLETED CREATE_COMPLETE ACTIVE Active ACTIVATED ENABLED READY OK InService IN_SYNC allowed");
  check("running", "RUNNING PENDING_REDRIVE InProgress CREATE_IN_PROGRESS ACTIVATING DEACTIVATING STOPPING QUEUED SystemUpdating PendingDeletion");
  check("aborted", "ABORTED CANCELLED STOPPED REVOKED");
  check("caught", "CAUGHT");
});
