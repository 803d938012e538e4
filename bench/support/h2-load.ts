import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runChild } from "./children.ts";
import { loadCore } from "./cores.ts";
import { scratchFolder } from "./scratch.ts";

export interface H2LoadRequest {
  readonly port: number;
  readonly path: string;
  readonly host: string;
  readonly connections: number;
  /** Requests under way on each connection. */
  readonly streams: number;
  readonly durationMs: number;
  /** Octets of a gRPC message to be sent; absent: GET. */
  readonly grpcMessageBytes?: number;
}

export interface H2LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Mean ms of a request. */
  readonly meanMs: number;
  readonly errors: number;
}

/** nghttp2's load generator, in plain text with prior knowledge. Rounds are whole seconds. */
export async function h2Load(request: H2LoadRequest): Promise<H2LoadResult> {
  const seconds = Math.max(1, Math.round(request.durationMs / 1000));
  const output = await runChild(
    "h2load",
    [
      ...["-c", String(request.connections), "-m", String(request.streams), "-D", String(seconds)],
      ...["--connect-to", `127.0.0.1:${request.port}`],
      ...grpcArguments(request.grpcMessageBytes),
      `http://${request.host}${request.path}`,
    ],
    { core: loadCore, timeoutMs: seconds * 1000 + 30_000 },
  );
  return parse(output);
}

function grpcArguments(messageBytes: number | undefined): readonly string[] {
  if (messageBytes === undefined) return [];
  const file = join(scratchFolder(), "message");
  const message = Buffer.alloc(5 + messageBytes, "x");
  message[0] = 0;
  message.writeUInt32BE(messageBytes, 1);
  writeFileSync(file, message);
  return ["-d", file, "-H", "content-type: application/grpc", "-H", "te: trailers"];
}

function parse(output: string): H2LoadResult {
  const rate = /finished in [\d.]+s, ([\d.]+) req\/s/.exec(output);
  const counts = /requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded/.exec(output);
  const time = /time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)/.exec(output);
  const good = /status codes: (\d+) 2xx/.exec(output);
  if (rate === null || counts === null || time === null || good === null)
    throw new Error(`h2load printed no result:\n${output}`);
  const done = Number(counts[1]);
  return {
    requests: done,
    requestsPerSecond: Number(rate[1]),
    meanMs: Number(time[1]) * (time[2] === "us" ? 0.001 : time[2] === "s" ? 1000 : 1),
    errors: done - Math.min(Number(counts[2]), Number(good[1])),
  };
}
