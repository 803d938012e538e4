import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { afterEach, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { meshError } from "../errors.ts";
import { TcpConnection } from "../net/tcp-connection.ts";
import type { OpenedUpstream } from "./passed-connection.ts";
import { PassedConnection } from "./passed-connection.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

it("lets the upstream go, once, when the client left while it was opened", async () => {
  const [[client, accepted], [upstream]] = [await sockets(), await sockets()];
  let release = 0;
  let open = (_: OpenedUpstream): void => {};
  const { passed, heard } = begin(() => new Promise((resolve) => (open = resolve)));
  const gone = new Promise((resolve) => accepted.resume().once("close", resolve));
  client.resetAndDestroy();
  await gone;
  const joined = passed.join(accepted);
  open({ socket: upstream, maxDurationMs: undefined, release: () => void release++ });
  await joined;
  await expect.poll(() => [release, heard]).toEqual([1, ["opened", "closed"]]);
  expect(upstream.destroyed).toBe(true);
});

it("tells of a connection that never got there, with the reason", async () => {
  const [, accepted] = await sockets();
  const { passed, heard, connection } = begin(() => Promise.reject(meshError("connect_refused", "refused")));
  await passed.join(accepted);
  expect(heard).toEqual(["closed"]);
  expect([connection.flags, connection.detail, connection.errorCode]).toEqual([
    "UF,URX",
    "refused",
    "connect_refused",
  ]);
  expect(accepted.destroyed).toBe(true);
});

function begin(openTcp: () => Promise<OpenedUpstream>) {
  const heard: string[] = [];
  const downstream = {
    remote: { host: "127.0.0.1", port: 1 },
    local: { host: "127.0.0.1", port: 2 },
    listener: "tcp",
    direction: "outbound",
    scheme: "http",
  } as const;
  const connection = new TcpConnection({ downstream, startedAt: 0, chain: "db" });
  const passed = new PassedConnection({ statPrefix: "db", destinations: [] }, connection, {
    clock: new FakeClock(),
    openTcp,
    tcp: { opened: () => heard.push("opened"), closed: () => heard.push("closed") },
  });
  return { passed, heard, connection };
}

/** Both ends of one connection. */
async function sockets(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const one = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [other] = (await once(server, "connection")) as [Socket];
  server.close();
  for (const socket of [one, other]) socket.on("error", () => {});
  stops.push(
    () => one.destroy(),
    () => other.destroy(),
  );
  return [one, other];
}
