// What the pages of `things.tsx` list: for each kind the operations that list and describe it, what of it is a column, and what belongs to it.

import { link } from "../route.ts";

export interface Listed { service: string; operation: string; member: string; /** What the answer calls the next page. */ token?: string; input?: object }
export interface Part { title: string; list: (name: string, whole: Record<string, unknown>) => Listed; columns: string[]; /** The page of one. */ to?: (row: Record<string, unknown>) => string; /** What one sees where there is none. */ empty: string }
export interface Kind {
  title: string; one: string;
  list: Listed;
  /** What the stream of changes calls what it is written with, where that is not its service. */
  topic?: string;
  /** The member by which one is named. */
  name: string;
  columns: string[];
  describe?: (name: string) => { service: string; operation: string; input: object; place?: string };
  parts?: Part[];
  actions?: { title: string; service: string; operation: string; input: (name: string) => object }[];
  /** What the page says of it. */
  note?: string;
}

const events = (operation: string, member: string, input: object = {}): Listed => ({ service: "events", operation, member, token: "NextToken", input });

export const KINDS: Record<string, Kind> = {
  pipes: {
    title: "Pipes", one: "Pipe", name: "Name", topic: "events", columns: ["CurrentState", "Source", "Target", "LastModifiedTime"],
    list: { service: "pipes", operation: "ListPipes", member: "Pipes", token: "NextToken" },
    describe: (Name) => ({ service: "pipes", operation: "DescribePipe", input: { Name } }),
    actions: [{ title: "Start", service: "pipes", operation: "StartPipe", input: (Name) => ({ Name }) }, { title: "Stop", service: "pipes", operation: "StopPipe", input: (Name) => ({ Name }) }],
  },
  buses: {
    title: "Event buses", one: "Event bus", name: "Name", columns: ["Arn"], list: events("ListEventBuses", "EventBuses"),
    describe: (Name) => ({ service: "events", operation: "DescribeEventBus", input: { Name } }),
    parts: [
      { title: "Rules", empty: "No rule listens to it.", columns: ["Name", "State", "Description"], to: (rule) => link("rules", `rule/${String(rule.EventBusName ?? "default")}/${String(rule.Name)}`), list: (EventBusName) => events("ListRules", "Rules", { EventBusName }) },
      { title: "Archives", empty: "No archive keeps its events.", columns: ["ArchiveName", "State", "EventCount", "SizeBytes", "RetentionDays", "CreationTime"], list: (_, bus) => events("ListArchives", "Archives", { EventSourceArn: bus.Arn }) },
    ],
  },
  replays: {
    title: "Replays", one: "Replay", name: "ReplayName", columns: ["State", "EventSourceArn", "EventStartTime", "EventEndTime", "EventLastReplayedTime"], list: events("ListReplays", "Replays"),
    describe: (ReplayName) => ({ service: "events", operation: "DescribeReplay", input: { ReplayName } }),
  },
  destinations: {
    title: "API destinations", one: "API destination", name: "Name", columns: ["ApiDestinationState", "HttpMethod", "InvocationEndpoint", "ConnectionArn"], list: events("ListApiDestinations", "ApiDestinations"),
    describe: (Name) => ({ service: "events", operation: "DescribeApiDestination", input: { Name } }),
  },
  connections: {
    title: "Connections", one: "Connection", name: "Name", columns: ["ConnectionState", "AuthorizationType", "LastAuthorizedTime"], list: events("ListConnections", "Connections"),
    describe: (Name) => ({ service: "events", operation: "DescribeConnection", input: { Name } }),
  },
  parameters: {
    title: "Parameters", one: "Parameter", name: "Name", columns: ["Type", "Version", "Description", "LastModifiedDate"], note: "The value of a SecureString is shown as it is kept, encrypted.",
    list: { service: "ssm", operation: "DescribeParameters", member: "Parameters", token: "NextToken" },
    describe: (Name) => ({ service: "ssm", operation: "GetParameter", input: { Name }, place: "Parameter" }),
    parts: [{ title: "Versions", empty: "There is one version.", columns: ["Version", "Value", "LastModifiedUser", "LastModifiedDate"], list: (Name) => ({ service: "ssm", operation: "GetParameterHistory", member: "Parameters", token: "NextToken", input: { Name } }) }],
  },
  keys: {
    title: "Keys", one: "Key", name: "KeyId", columns: ["KeyArn"], list: { service: "kms", operation: "ListKeys", member: "Keys", token: "NextMarker" },
    describe: (KeyId) => ({ service: "kms", operation: "DescribeKey", input: { KeyId }, place: "KeyMetadata" }),
    parts: [
      { title: "Aliases", empty: "No alias names it.", columns: ["AliasName", "CreationDate"], list: (KeyId) => ({ service: "kms", operation: "ListAliases", member: "Aliases", token: "NextMarker", input: { KeyId } }) },
      { title: "Grants", empty: "It is granted to nobody.", columns: ["GrantId", "GranteePrincipal", "Operations", "CreationDate"], list: (KeyId) => ({ service: "kms", operation: "ListGrants", member: "Grants", token: "NextMarker", input: { KeyId } }) },
    ],
  },
  workgroups: {
    title: "Workgroups", one: "Workgroup", name: "Name", columns: ["State", "Description", "CreationTime"], list: { service: "athena", operation: "ListWorkGroups", member: "WorkGroups", token: "NextToken" },
    describe: (WorkGroup) => ({ service: "athena", operation: "GetWorkGroup", input: { WorkGroup }, place: "WorkGroup" }),
    parts: [{ title: "Prepared statements", empty: "None is prepared.", columns: ["StatementName", "LastModifiedTime"], list: (WorkGroup) => ({ service: "athena", operation: "ListPreparedStatements", member: "PreparedStatements", token: "NextToken", input: { WorkGroup } }) }],
  },
  repositories: {
    title: "Image repositories", one: "Repository", name: "repositoryName", columns: ["repositoryUri", "imageTagMutability", "createdAt"], list: { service: "ecr", operation: "DescribeRepositories", member: "repositories", token: "nextToken" },
    describe: (name) => ({ service: "ecr", operation: "DescribeRepositories", input: { repositoryNames: [name] }, place: "repositories.0" }),
    parts: [{ title: "Images", empty: "It holds no image.", columns: ["imageTags", "imageDigest", "imageSizeInBytes", "imagePushedAt"], list: (repositoryName) => ({ service: "ecr", operation: "DescribeImages", member: "imageDetails", token: "nextToken", input: { repositoryName } }) }],
  },
};
