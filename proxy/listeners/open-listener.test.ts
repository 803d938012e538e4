import type { Socket } from "node:net";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { listener } from "../../test/support/proxy-resources.ts";
import { Body } from "../http/body.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import { defaultHttpServerSettings } from "../http/http-server.ts";
import { OpenListener } from "./open-listener.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

describe("OpenListener", () => {
  it("answers open connections with the service that config gave last", async () => {
    const open = await start(async () => reply("one"));
    const client = await dial(open);
    expect(await client.get()).toContain("one");
    await open.configure(listener("test", "r"), () => async () => reply("two"));
    expect(await client.get()).toContain("two");
  });

  it("answers a request that comes on an idle connection while it drains, and says that it closes", async () => {
    const clock = new FakeClock();
    const open = await start(async () => reply("late"), clock);
    const client = await dial(open);
    await client.get();
    const drained = open.drain(1_000, 5_000);
    const answer = await client.get();
    expect(answer).toContain("late");
    expect(answer).toContain("Connection: close");
    await client.closed;
    await drained;
    expect(clock.pendingTimers).toBe(0);
  });

  it("ends idle connections after the grace time", async () => {
    const clock = new FakeClock();
    const open = await start(async () => reply("x"), clock);
    const client = await dial(open);
    await client.get();
    const drained = open.drain(1_000, 5_000);
    await clock.advance(1_000);
    await client.closed;
    await drained;
    expect(open.connections).toBe(0);
  });

  it("lets a request under way finish, but not beyond the limit", async () => {
    const clock = new FakeClock();
    let finish = (_: Response) => {};
    const begun: Exchange[] = [];
    const open = await start((exchange) => {
      begun.push(exchange);
      return new Promise((resolve) => {
        finish = resolve;
      });
    }, clock);
    const [patient, hanging] = [await dial(open), await dial(open)];
    const answer = patient.get();
    while (begun.length < 1) await turn();
    const finishPatient = finish;
    hanging.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while (begun.length < 2) await turn();
    const drained = open.drain(1_000, 5_000);
    finishPatient(reply("in time"));
    expect(await answer).toContain("in time");
    await clock.advance(5_000);
    await hanging.closed;
    await drained;
    expect(begun[1]!.cancelCause).toBeDefined();
  });

  it("accepts nobody once it drains", async () => {
    const open = await start(async () => reply("x"));
    const { port } = open;
    await open.drain(0, 0);
    const refused = new Promise((resolve) => connect(port, "127.0.0.1").on("error", resolve));
    expect(await refused).toMatchObject({ code: "ECONNREFUSED" });
  });
});

async function start(service: (exchange: Exchange) => Promise<Response>, clock = new FakeClock()) {
  const settings = defaultHttpServerSettings;
  const config = listener("test", "r");
  const open = new OpenListener(config, {
    settings,
    clock,
    certificateRefreshMs: 5_000,
    onRejected: () => {},
    onCertificateProblem: () => {},
    originalDestination: () => undefined,
    listenerAt: () => undefined,
    tcp: { opened: () => {}, closed: () => {} },
    openTcp: () => Promise.reject(new Error("no chain passes bytes on")),
  });
  await open.configure(config, () => service);
  await open.open();
  stops.push(() => open.stop());
  return open;
}

async function dial(open: OpenListener) {
  const socket: Socket = connect(open.port, "127.0.0.1");
  stops.push(() => socket.destroy());
  let text = "";
  let heard = () => {};
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
    heard();
  });
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.on("connect", () => resolve()));
  const get = async (): Promise<string> => {
    text = "";
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while (!text.includes("\n.")) {
      await new Promise<void>((resolve) => {
        heard = resolve;
      });
    }
    return text;
  };
  return { socket, get, closed };
}

/** Ends with a dot on a line of its own, so that a client knows when it has all. */
function reply(text: string): Response {
  const body = Buffer.from(`${text}\n.`);
  return {
    status: 200,
    reason: "",
    headers: new HeaderList(["content-length", String(body.length)]),
    body: Body.of(body),
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
