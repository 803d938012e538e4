import { expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { TcpConnection } from "../net/tcp-connection.ts";
import { accessLog } from "./access-log.ts";
import { tcpLogSubject } from "./log-subject.ts";

const downstream = {
  remote: { host: "10.0.0.1", port: 40_000 },
  local: { host: "127.0.0.1", port: 3306 },
  listener: "tcp",
  direction: "outbound",
  scheme: "http",
} as const;

function line(change: Partial<TcpConnection>): Record<string, unknown> {
  const connection = new TcpConnection({ downstream, startedAt: 0, chain: "to-db" });
  Object.assign(connection, { finishedAt: 12, cluster: "db", ...change });
  const lines: string[] = [];
  const log = accessLog(
    { encoding: "json" },
    { write: (text) => void lines.push(text) },
    { clock: new FakeClock(), hostname: "h", environment: {} },
  );
  if (log.ok) log.value(tcpLogSubject(connection));
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

it("writes a connection in Envoy's words: nothing of HTTP, bytes, where it went", () => {
  expect(
    line({
      bytesReceived: 5,
      bytesSent: 7,
      upstream: { address: "10.0.0.7:3306", workload: undefined },
      upstreamLocal: "127.0.0.1:50000",
    }),
  ).toMatchObject({
    method: null,
    path: null,
    protocol: null,
    response_code: 0,
    response_flags: "-",
    response_code_details: null,
    bytes_received: 5,
    bytes_sent: 7,
    duration: 12,
    upstream_cluster: "db",
    upstream_host: "10.0.0.7:3306",
    upstream_local_address: "127.0.0.1:50000",
    downstream_remote_address: "10.0.0.1:40000",
    route_name: "to-db",
  });
});

it("says why a connection failed, and why one ended", () => {
  expect(line({ flags: "UF,URX", detail: "connection_refused" })).toMatchObject({
    response_flags: "UF,URX",
    upstream_transport_failure_reason: "connection_refused",
    connection_termination_details: null,
  });
  expect(line({ detail: "tcp_session_idle_timeout" })).toMatchObject({
    response_flags: "-",
    upstream_transport_failure_reason: null,
    connection_termination_details: "tcp_session_idle_timeout",
  });
});
