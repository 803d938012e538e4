import type { Source } from "../common/model/source.ts";
import { formatSource } from "../common/model/source.ts";
import type { ExplainedRoute, Explanation } from "../common/routing/explain.ts";
import { formatTable } from "./table.ts";

/** A rule that the asking proxy was not given at all. */
export interface LeftOutRule {
  readonly name: string;
  readonly source: Source;
  readonly why: string;
}

/** What `POST /explain` answers. */
export interface ExplainAnswer extends Explanation {
  readonly leftOut: readonly LeftOutRule[];
  readonly hint?: string;
  /** What policies say, where the request may arrive. */
  readonly access?: readonly {
    readonly at: string;
    readonly isAllowed: boolean;
    readonly why: string;
    readonly notes: readonly string[];
  }[];
}

/** The explanation for people: outcome first, then each rule with its verdict, reason and place. */
export function formatExplanation(explanation: ExplainAnswer): string {
  const { virtualHost, chosen, routes, outcome, leftOut, hint } = explanation;
  const hinted = hint === undefined ? "" : `hint   ${hint}\n`;
  if (virtualHost === undefined) {
    const rows = leftOut.map(leftOutRow);
    return `${outcome}\n${hinted}${rows.length === 0 ? "" : `\n${formatTable(header, rows)}`}`;
  }
  const facts: [string, string][] = [["host", `${virtualHost.name} (by its domain ${virtualHost.domain})`]];
  if (chosen === undefined) facts.push(["route", outcome]);
  else {
    facts.push(["route", `${chosen.name}${place(chosen)}`]);
    if (chosen.action === "redirect") facts.push(["answer", "a redirect"]);
    if (chosen.action === "direct-response") facts.push(["answer", "a direct response"]);
    for (const { cluster, share } of chosen.destinations) {
      facts.push(["to", `${cluster}  ${Math.round(share * 1000) / 10} %`]);
    }
  }
  for (const { at, isAllowed, why, notes } of explanation.access ?? []) {
    facts.push(["access", `${isAllowed ? "allowed" : "403"} at ${at}: ${[why, ...notes].join("; ")}`]);
  }
  const rows = [
    ...routes.map((route) => [mark[route.verdict], route.name, route.why, place(route).trim()]),
    ...leftOut.map(leftOutRow),
  ];
  const facing = facts.map(([name, value]) => `${name.padEnd(7)}${value}\n`).join("");
  return `${facing}${hinted}\n${formatTable(header, rows)}`;
}

const header = ["", "RULE", "WHY", "WHERE"];

function leftOutRow({ name, source, why }: LeftOutRule): readonly string[] {
  return ["left out", name, why, formatSource(source)];
}

const mark = { chosen: "chosen", lost: "lost", "never-reached": "not tried" } as const;

function place({ source }: ExplainedRoute): string {
  return source === undefined ? "" : `  ${formatSource(source)}`;
}
