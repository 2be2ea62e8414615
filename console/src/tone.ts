// What a status means, in one of six tones. AWS's words are taken apart (IN_PROGRESS, InService) and looked up whole: INACTIVE is not
// ACTIVE, and TIMEOUT is a failure.

export type Tone = "running" | "succeeded" | "failed" | "caught" | "aborted" | "idle";
export const SIGNS: Record<Tone, string> = { running: "●", succeeded: "✓", failed: "✕", caught: "↷", aborted: "■", idle: "○" };

const words = (list: string): Set<string> => new Set(list.split(" "));

/** The first tone that has one of a status's words is its tone: a rollback that is complete is still a rollback. */
const TONES: [Tone, Set<string>][] = [
  ["caught", words("caught")],
  ["failed", words("failed fail failure failing error denied deny timeout timed expired rollback rolling full alarm dead missing malformed")],
  ["aborted", words("aborted cancelled canceled stopped revoked")],
  ["running", words("running pending progress starting stopping queued creating deleting updating activating deactivating enabling disabling cancelling waiting")],
  ["idle", words("inactive deactivated disabled not out insufficient")],
  ["succeeded", words("succeeded success succeed completed complete active activated enabled ready ok allowed service sync available confirmed delivered")],
];

export function toneOf(status: string): Tone {
  const of = status.replace(/([a-z])([A-Z])/g, "$1_$2").toLowerCase().split(/[^a-z]+/);
  return TONES.find(([, known]) => of.some((word) => known.has(word)))?.[0] ?? "idle";
}
