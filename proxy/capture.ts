import { readFile } from "node:fs/promises";
import type { Clock } from "../common/base/clock.ts";
import type { Random } from "../common/base/random.ts";
import type { Listener } from "../common/model/listener.ts";
import type { OpenPort } from "./listeners/open-port.ts";
import type { ReadOriginalDestination } from "./net/original-destination.ts";
import { loadOriginalDestination } from "./net/original-destination.ts";

/** What a proxy needs besides when connections are redirected to it. */
export interface Capture {
  readonly originalDestination: ReadOriginalDestination;
  readonly openDns: (listener: Listener) => OpenPort;
  /** DNS questions by where their answers came from. */
  readonly questions: Readonly<Record<string, number>>;
}

/**
 * Loads what only captured proxies need, which costs memory. Rejects with an Error that says so where the system can't redirect. Name
 * servers are those of the machine at this moment.
 */
export async function loadCapture(clock: Clock, random: Random): Promise<Capture> {
  const [originalDestination, { OpenDns }, { UpstreamResolver }, { nameServers }] = await Promise.all([
    loadOriginalDestination(),
    import("./listeners/open-dns.ts"),
    import("./dns/upstream-resolver.ts"),
    import("./dns/resolv-conf.ts"),
  ]);
  const servers = nameServers(await readFile("/etc/resolv.conf", "utf8").catch(() => ""));
  const resolver = new UpstreamResolver({ servers, clock, random });
  const questions = { mesh: 0, upstream: 0, failed: 0 };
  const onAnswer = (from: keyof typeof questions): void => {
    questions[from] += 1;
  };
  return {
    originalDestination,
    questions,
    openDns: (listener) => new OpenDns(listener, { clock, resolver, onAnswer }),
  };
}
